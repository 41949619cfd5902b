"""The platforms that are installed: entry points of the group `jobrunner_publish.platforms`.

Says what an adapter must have. Finding, loading and blaming are the core's.
"""

from __future__ import annotations

import inspect
from typing import cast

from jobrunner import Registry
from jobrunner_publish.adapter import Adapter

GROUP = "jobrunner_publish.platforms"


def load_platforms() -> Registry[Adapter]:
    """Load every platform that installed distributions declare.

    Raises:
        PluginError: One cannot be imported, is no adapter, or two have one name; the text names the
            distribution and its version.
    """
    platforms = Registry(GROUP, kind="platform", check=_as_adapter)
    platforms.check_all()
    return platforms


def _as_adapter(loaded: object) -> Adapter:
    if not inspect.iscoroutinefunction(getattr(loaded, "publish", None)):
        raise ValueError("has no `async def publish(post, account, context)`")
    return cast("Adapter", loaded)
