"""The writers that are installed, found through entry points of the group `jobrunner_content.writers`.

The ones that come with this plugin are found in the same way as those of any other distribution. Only the chosen one
is imported; a mistake is blamed on its distribution when a worker starts, not when the first job fails.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from jobrunner import JobrunnerError, PluginError, SettingsError
from jobrunner_content.settings import ContentSettings
from jobrunner_content.writer import OpenWriter, Writer

GROUP = "jobrunner_content.writers"
VARIABLE = "JOBRUNNER_CONTENT_WRITER"


def find_writer(name: str) -> OpenWriter:
    """Find what opens the writer of a name.

    Args:
        name: The entry point's name; upper and lower case are the same.

    Raises:
        SettingsError: No installed distribution has a writer of that name; the text lists those there are.
        PluginError: Two have one, or it cannot be imported, or is nothing that can be called; the text names the
            distribution and its version.
    """
    points = importlib.metadata.entry_points(group=GROUP)
    found: dict[tuple[str, str], importlib.metadata.EntryPoint] = {}
    for point in points:
        if point.name.lower() == name.lower():
            # One distribution can be on the path twice, as with an editable install; that is no conflict.
            found.setdefault((point.value, _owner(point)), point)
    if not found:
        known = ", ".join(sorted({point.name.lower() for point in points})) or "none"
        raise SettingsError(VARIABLE, f"no installed writer is named {name!r} (installed: {known})")
    if len(found) > 1:
        owners = " and ".join(sorted(owner for _, owner in found))
        raise PluginError(f"two distributions declare the writer {name!r}: {owners}; uninstall one of them")
    return _load(next(iter(found.values())))


@asynccontextmanager
async def open_writer(settings: ContentSettings) -> AsyncIterator[Writer]:
    """Open the writer that the settings name, and close it at the end.

    Args:
        settings: The plugin's settings.

    Raises:
        SettingsError: No such writer is installed, or its own settings are wrong.
        PluginError: It cannot be used.
    """
    open_it = find_writer(settings.writer)
    blame = f"writer {settings.writer}"
    async with AsyncExitStack() as opened:
        try:
            writer = await opened.enter_async_context(open_it(settings))
        except JobrunnerError:
            raise
        except Exception as error:
            raise PluginError(f"{blame} cannot be opened: {type(error).__name__}: {error}") from error
        if not inspect.iscoroutinefunction(getattr(writer, "write", None)):
            raise PluginError(f"{blame}: {type(writer).__name__} has no `async def write(brief)`")
        yield writer


def _load(point: importlib.metadata.EntryPoint) -> OpenWriter:
    blame = f"writer {point.name} ({_owner(point)})"
    try:
        found: OpenWriter = point.load()
    except Exception as error:
        raise PluginError(f"{blame} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise PluginError(f"{blame}: {point.value} cannot be called")
    return found


def _owner(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
