"""Pulls the figures of posts from the platforms: the queue analytics.pull."""
