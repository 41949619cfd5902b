"""The version of the distribution that is installed."""

from __future__ import annotations

import functools
import importlib.metadata


@functools.cache
def version() -> str:
    """Such as `0.1.0`."""
    return importlib.metadata.version("jobrunner-core")
