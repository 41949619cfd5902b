"""Where plugins come from: installed entry points, a file, or a module's path.

The loader is ours since it must name the distribution of whatever fails, and go on with the others. It runs
no hook.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import msgspec

from jobrunner.errors import InvalidNameError, PluginError
from jobrunner.names import check_plugin

GROUP = "jobrunner"
"""The entry-point group of plugins."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that can be loaded."""

    name: str
    target: str
    """A module's path, or a file's."""
    distribution: str = ""
    version: str = ""

    @property
    def blame(self) -> str:
        """How messages name it: the plugin, and the distribution with its version where it came from one."""
        return (
            f"plugin {self.name} ({self.distribution} {self.version})"
            if self.distribution
            else f"plugin {self.name}"
        )


def installed() -> list[Found]:
    """All plugins that installed distributions declare, by name.

    Raises:
        PluginError: Two distributions declare one name.
    """
    found: dict[str, Found] = {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name):
        dist = point.dist
        one = Found(
            name=point.name,
            target=point.value,
            distribution=dist.name if dist else "",
            version=dist.version if dist else "",
        )
        other = found.get(one.name)
        if other and (other.target, other.distribution) != (one.target, one.distribution):
            raise PluginError(
                f"two distributions declare the plugin {one.name!r}: {other.distribution} {other.version} and "
                f"{one.distribution} {one.version}; uninstall one of them"
            )
        found[one.name] = one
    return list(found.values())


def find(name: str) -> Found:
    """Find one plugin: an installed one by its name, else a `.py` file or a module's path.

    Raises:
        PluginError: There is no such plugin.
    """
    if name.endswith(".py") or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise PluginError(f"plugin {name}: there is no such file")
        return Found(name=_name_of(path.stem), target=str(path.resolve()))
    here = installed()
    for one in here:
        if one.name == name:
            return one
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is not None:
        return Found(name=_name_of(name), target=name)
    names = ", ".join(one.name for one in here) or "none"
    raise PluginError(
        f"plugin {name!r} is not installed (installed: {names}); `pip install` it, or name a .py file"
    )


def load_module(found: Found) -> ModuleType | object:
    """Import a plugin.

    Raises:
        PluginError: It cannot be imported, whatever it raised.
    """
    try:
        if found.target.endswith(".py"):
            return _load_file(found)
        module, _, attribute = found.target.partition(":")
        loaded: object = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            loaded = getattr(loaded, part)
    except SystemExit as error:  # a script, or one that misses something: no reason for us to end
        raise PluginError(f"{found.blame} cannot be imported: it ended the program: {error.code}") from error
    except Exception as error:
        raise PluginError(f"{found.blame} cannot be imported: {type(error).__name__}: {error}") from error
    else:
        return loaded


def _load_file(found: Found) -> ModuleType:
    name = f"jobrunner_file_{found.name.replace('-', '_')}"
    spec = importlib.util.spec_from_file_location(name, found.target)
    if spec is None or spec.loader is None:
        raise ImportError(f"{found.target} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # msgspec looks a Struct's annotations up in its module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _name_of(module: str) -> str:
    name = module.rpartition(".")[2].lower().replace("_", "-").strip("-")
    try:
        return check_plugin(name)
    except InvalidNameError as error:
        raise PluginError(f"plugin {module}: {error}") from None
