"""The platforms that are installed: entry points of the group `jobrunner_analytics.platforms`.

Says what a platform must have. Finding, loading and blaming are the core's.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import cast

from jobrunner import Registry
from jobrunner_analytics.platform import Platform

GROUP = "jobrunner_analytics.platforms"


def load_platforms() -> Registry[Platform]:
    """Load every platform that installed distributions declare.

    Raises:
        PluginError: One cannot be imported, is no platform, or two have one name; the text names the
            distribution and its version.
    """
    platforms = Registry(GROUP, kind="platform", check=_as_platform)
    platforms.check_all()
    return platforms


def _as_platform(loaded: object) -> Platform:
    if not inspect.iscoroutinefunction(getattr(loaded, "read_page", None)):
        raise ValueError("has no `async def read_page(query, account, cursor, context)`")
    if not isinstance(getattr(loaded, "METRICS", None), Mapping):
        raise ValueError("has no mapping `METRICS` of the common names that it has")
    return cast("Platform", loaded)
