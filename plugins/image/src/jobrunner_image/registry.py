"""The engines that are installed, found through entry points of the group `jobrunner_image.engines`.

The ones that come with this plugin are found in the same way as those of any other distribution. Only the one that
the settings name is imported.
"""

from __future__ import annotations

import importlib.metadata

from jobrunner import PluginError
from jobrunner_image.engine import OpenEngine

GROUP = "jobrunner_image.engines"


def load_engine(name: str) -> OpenEngine:
    """Load the engine of that name.

    Raises:
        PluginError: There is none, two have that name, or it cannot be used; the text names the distribution.
    """
    points = importlib.metadata.entry_points(group=GROUP)
    found = [point for point in points if point.name.lower() == name.lower()]
    if not found:
        known = ", ".join(sorted({point.name for point in points}))
        raise PluginError(
            f"JOBRUNNER_IMAGE_ENGINE: no installed engine is named {name!r} (installed: {known})"
        )
    first, *others = found
    for other in others:
        # One distribution can be on the path twice, as with an editable install; that is no conflict.
        if (other.value, _owner(other)) != (first.value, _owner(first)):
            raise PluginError(
                f"two distributions declare the engine {name!r}: {_owner(first)} and {_owner(other)}; uninstall one of them"
            )
    blame = f"engine {first.name} ({_owner(first)})"
    try:
        engine = first.load()
    except Exception as error:
        raise PluginError(f"{blame} cannot be imported: {type(error).__name__}: {error}") from error
    opener: OpenEngine | None = getattr(engine, "open_engine", None)
    if not callable(opener):
        raise PluginError(f"{blame}: {first.value} has no function `open_engine(workshop)`")
    return opener


def _owner(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
