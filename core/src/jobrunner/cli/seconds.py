"""A number of seconds on the command line."""

from __future__ import annotations

import math

import click


class Seconds(click.FloatRange):
    """As its base, and never `nan`, which is neither below a bound nor above it."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return seconds
