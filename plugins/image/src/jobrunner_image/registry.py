"""The engines that are installed: entry points of the group `jobrunner_image.engines`.

Says what an engine must have. Finding, loading and blaming are the core's; only the engine that the settings name is
imported.
"""

from __future__ import annotations

from typing import cast

from jobrunner import Registry, SettingsError
from jobrunner_image.engine import OpenEngine

GROUP = "jobrunner_image.engines"
VARIABLE = "JOBRUNNER_IMAGE_ENGINE"


def load_engine(name: str) -> OpenEngine:
    """Load the engine of that name.

    Args:
        name: The entry point's name; upper and lower case are the same.

    Raises:
        SettingsError: No installed distribution has an engine of that name; the text lists those there are.
        PluginError: Two have one, or it cannot be used; the text names the distribution and its version.
    """
    engines = Registry(GROUP, kind="engine", check=_as_engine)
    found = engines.find(name)
    if found is None:
        raise SettingsError(VARIABLE, engines.missing(name))
    return found


def _as_engine(loaded: object) -> OpenEngine:
    opener = getattr(loaded, "open_engine", None)
    if not callable(opener):
        raise ValueError("has no function `open_engine(workshop)`")
    return cast("OpenEngine", opener)
