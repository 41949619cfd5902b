"""From what a test names to a set of loaded plugins, with settings and an environment of the test's own.

Nothing of the machine's environment gets in: a test sees the settings that it gives.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

import msgspec

from jobrunner.discovery import Found, find, installed, load_module
from jobrunner.errors import PluginError, UnknownQueueError
from jobrunner.hookspecs import hookimpl
from jobrunner.plugins import Plugin, Plugins, from_object, load
from jobrunner.queue import Queue
from jobrunner.sealing import Keyring
from jobrunner.settings import core_settings, variable_name

LOOSE = "test"
"""The plugin's name for queues that are given without one."""


class LooseQueues:
    """A plugin of queues that a test made itself."""

    def __init__(self, queues: Sequence[Queue]) -> None:
        self._queues = queues

    @hookimpl
    def jobrunner_queues(self) -> Sequence[Queue]:
        """Return them."""
        return self._queues


def load_plugins(
    plugins: Sequence[object],
    *,
    settings: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[list[Plugin], dict[str, str]]:
    """Load plugins for a test.

    Args:
        plugins: Each a name, a `.py` file, a module's path, a module, an object with hooks, or a Queue.
        settings: Settings of the first one by field, as plain values; they are read as its variables would be.
        environ: The environment, whole.

    Returns:
        The plugins, the first one first, and the environment with the settings in it.

    Raises:
        PluginError: One cannot be found, imported or used, or has no such setting.
        SettingsError: A setting or a variable has a value that cannot be used.
    """
    loose = [one for one in plugins if isinstance(one, Queue)]
    named = [one for one in plugins if not isinstance(one, Queue)]
    if settings and not named:
        raise PluginError("settings= are those of a plugin; name the plugin, too")
    variables = dict(environ or {})
    loaded: list[Plugin] = []
    for plugin in named:
        found = _found(plugin)
        first = not loaded and settings
        if first:
            variables |= {variable_name(found.name, field): as_text(value) for field, value in first.items()}
        target = _loaded(found) if isinstance(plugin, str) else plugin
        loaded.append(from_object(target, found, variables))
        if first:
            _check_fields(loaded[0], first)
    if loose:
        loaded.append(from_object(LooseQueues(loose), Found(name=LOOSE, target=""), variables))
    return loaded, variables


def owner_of(
    queue: str | Queue,
    plugin: object,
    *,
    settings: Mapping[str, object] | None,
    environ: Mapping[str, str] | None,
) -> tuple[Plugins, Queue]:
    """The queue that a test names, and the plugins to run it with.

    Raises:
        UnknownQueueError: The plugin, or any installed one, does not declare it.
        PluginError: As `load_plugins`.
        SettingsError: As `load_plugins`.
    """
    name = queue.name if isinstance(queue, Queue) else queue
    if plugin is None and isinstance(queue, str):
        if settings:
            raise PluginError("settings= are those of a plugin; name it with plugin=")
        plugins = load(None, environ or {}, strict=False)
        if name not in plugins.queues and plugins.failures:
            failed = "; ".join(str(error) for error in plugins.failures.values())
            raise UnknownQueueError(
                f"no installed plugin declares the queue {name!r}; these cannot be loaded: {failed}"
            )
        return plugins, plugins.queue(name)
    loaded, _ = load_plugins([queue if plugin is None else plugin], settings=settings, environ=environ)
    plugins = Plugins(loaded, keyring=Keyring(core_settings(environ or {}).encryption_keys))
    return plugins, plugins.queue(name)


def as_text(value: object) -> str:
    """A setting's value as its environment variable would hold it.

    Raises:
        ValueError: It holds a text with a comma in a list, which a variable cannot say.
    """
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case Mapping() | msgspec.Struct():
            return msgspec.json.encode(value).decode()
        case list() | tuple() | set() | frozenset():
            return ",".join(_items(value))
        case _:
            return str(msgspec.to_builtins(value))


def _items(values: Iterable[object]) -> list[str]:
    texts = [as_text(value) for value in values]
    for text in texts:
        if "," in text:
            raise ValueError(
                f"{text!r} cannot be part of a list in an environment variable: it holds a comma"
            )
    return texts


def _found(plugin: object) -> Found:
    if isinstance(plugin, str):
        return find(plugin)
    if isinstance(plugin, ModuleType):
        for one in installed():
            if one.target.partition(":")[0] == plugin.__name__:
                return one  # under its own name, as in production: its variables are named after it
        return Found(name=_name(plugin.__name__), target=plugin.__name__)
    kind = plugin if isinstance(plugin, type) else type(plugin)
    return Found(name=_name(kind.__name__), target=f"{kind.__module__}:{kind.__qualname__}")


def _loaded(found: Found) -> object:
    """The plugin's module; a file that the test has imported already is that module, so that its types are the same."""
    if found.target.endswith(".py"):
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("__file__") == found.target:  # no lazy attribute is woken
                return module
    return load_module(found)


def _name(path: str) -> str:
    """A plugin's name from a module's path, as discovery makes it."""
    return re.sub(r"[^a-z0-9_-]", "-", path.rpartition(".")[2].lower()).replace("_", "-").strip("-") or LOOSE


def _check_fields(plugin: Plugin, settings: Mapping[str, object]) -> None:
    fields = plugin.settings_type.__struct_fields__
    for field in settings:
        if field not in fields:
            known = ", ".join(fields) or "none"
            raise PluginError(f"{plugin.found.blame} has no setting {field!r} (it has: {known})")
