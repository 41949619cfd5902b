"""A word on the command line that may not be empty.

`--tenant "$TENANT"` where nobody set TENANT means a mistake, and never everybody.
"""

from __future__ import annotations

import click


class Word(click.types.StringParamType):
    """Any text but the empty one."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the word."""
        text = str(super().convert(value, param, ctx))
        if not text.strip():
            self.fail(
                "it is empty; leave the option out, or check the variable that it came from", param, ctx
            )
        return text
