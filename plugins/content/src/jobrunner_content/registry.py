"""The writers that are installed: entry points of the group `jobrunner_content.writers`.

Opens the one that the settings name, which alone is imported. Finding, loading and blaming are the core's.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from jobrunner import JobrunnerError, PluginError, Registry, SettingsError
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
    writers = Registry(GROUP, kind="writer", check=_as_opener)
    found = writers.find(name)
    if found is None:
        raise SettingsError(VARIABLE, writers.missing(name))
    return found


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


def _as_opener(loaded: object) -> OpenWriter:
    if not callable(loaded):
        raise ValueError("cannot be called")
    return cast("OpenWriter", loaded)
