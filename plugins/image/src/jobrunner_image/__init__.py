"""Draws pictures for posts: the queue image.generate."""
