"""Tests of the rig itself: a tool that finds faults must be shown to find them."""
