"""Writes a month of posts for a brand, and rewrites single ones: the queues content.generate.monthly and content.regen.single."""
