"""The Lua scripts that read BullMQ's keys and take jobs out of them, as they are sent. Nothing is built from data."""

from __future__ import annotations

import functools
import importlib.resources

PART = "parts/job"
"""What every script uses."""


def source(name: str) -> str:
    """A script's own text, header and all."""
    return (importlib.resources.files(__package__ or "") / "lua" / f"{name}.lua").read_text("utf-8")


@functools.cache
def script(name: str) -> str:
    """A script with the part that it uses in front."""
    return f"{source(PART)}\n{source(name)}"
