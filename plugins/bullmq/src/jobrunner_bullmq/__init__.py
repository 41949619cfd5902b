"""Moves the jobs of a BullMQ queue over to a queue of jobrunner, each to one side only.

It declares no queue: all there is is the command `jobrunner import bullmq`.
"""
