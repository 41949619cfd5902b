"""The platforms that are installed, found through entry points of the group `jobrunner_analytics.platforms`.

The ones that come with this plugin are found in the same way as those of any other distribution. A mistake is
blamed on its distribution when a worker starts, not when the first job fails.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Mapping

from jobrunner import PluginError
from jobrunner_analytics.platform import Platform

GROUP = "jobrunner_analytics.platforms"


class Platforms:
    """Platforms by their names."""

    def __init__(self, platforms: Mapping[str, Platform]) -> None:
        self._platforms = {name.lower(): platform for name, platform in platforms.items()}

    @property
    def names(self) -> list[str]:
        """The names of the platforms, in lower case and in order."""
        return sorted(self._platforms)

    def find(self, name: str) -> Platform | None:
        """Return a platform by any spelling of its name, None if there is none."""
        return self._platforms.get(name.lower())


def load_platforms() -> Platforms:
    """Load every platform that installed distributions declare.

    Raises:
        PluginError: One cannot be imported, is no platform, or two have one name; the text names the
            distribution and its version.
    """
    points: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=GROUP):
        name = point.name.lower()
        other = points.setdefault(name, point)
        # One distribution can be on the path twice, as with an editable install; that is no conflict.
        if (other.value, _owner(other)) != (point.value, _owner(point)):
            raise PluginError(
                f"two distributions declare the platform {name!r}: {_owner(other)} and {_owner(point)}; "
                "uninstall one of them"
            )
    return Platforms({name: _load(point) for name, point in points.items()})


def _load(point: importlib.metadata.EntryPoint) -> Platform:
    blame = f"platform {point.name} ({_owner(point)})"
    try:
        platform: Platform = point.load()
    except Exception as error:
        raise PluginError(f"{blame} cannot be imported: {type(error).__name__}: {error}") from error
    if not inspect.iscoroutinefunction(getattr(platform, "read_page", None)):
        raise PluginError(
            f"{blame}: {point.value} has no `async def read_page(query, account, cursor, context)`"
        )
    if not isinstance(getattr(platform, "METRICS", None), Mapping):
        raise PluginError(f"{blame}: {point.value} has no mapping `METRICS` of the common names that it has")
    return platform


def _owner(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
