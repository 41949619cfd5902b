"""What every command starts from: the environment, the store's address, the plugins. Nothing is opened before it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, TypeVar

import click

from jobrunner.errors import SettingsError

if TYPE_CHECKING:
    from jobrunner.admin import Admin
    from jobrunner.plugins import Plugins
    from jobrunner.settings import Settings
    from jobrunner.store.address import Address

P = ParamSpec("P")
T = TypeVar("T")


class Scene(NamedTuple):
    """The environment of one call of the command line. No Struct: help would wait for msgspec, a quarter of its time."""

    environ: dict[str, str]

    @classmethod
    def from_options(cls, environ: Mapping[str, str], *, embedded: bool, env_file: str | None) -> Scene:
        """Put the environment together: the file's variables are there unless the process has its own.

        Raises:
            SettingsError: A line of the file is not `NAME=value`.
        """
        merged = {**(read_env_file(Path(env_file)) if env_file else {}), **environ}
        if embedded:
            # The store's folder is this one for child processes too, wherever they are started.
            merged["REDIS_URL"] = f"embedded://{Path.cwd() / '.jobrunner'}"
        os.environ.update({name: value for name, value in merged.items() if environ.get(name) != value})
        return cls(environ=merged)

    @property
    def settings(self) -> Settings:
        """The core's settings."""
        from jobrunner.settings import core_settings

        return core_settings(self.environ)

    @property
    def address(self) -> Address:
        """Where the store is."""
        from jobrunner.store.address import from_environment

        return from_environment(self.environ)

    def plugins(self, names: Sequence[str] = (), *, strict: bool | None = None) -> Plugins:
        """The plugins that were named, else those of `JOBRUNNER_PLUGINS`, else all that are installed.

        A module of the current folder can be named too; it comes after everything that is installed, and hides nothing.
        """
        from jobrunner.plugins import load

        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.append(here)
        wanted = tuple(names) or self.settings.plugins
        return load(wanted, self.environ, strict=(wanted is not None) if strict is None else strict)

    def warn(self, plugins: Plugins) -> None:
        """Tell what is left out, and variables that nobody reads: another version of a plugin may know them."""
        from jobrunner.discovery import installed
        from jobrunner.misspelt import misspelt

        for (
            name,
            error,
        ) in plugins.failures.items():  # what was asked for by its name has ended the command by now
            text = " ".join(str(error).split())
            click.echo(f"warning: the plugin {name} is left out: {text}", err=True)
        for line in misspelt(plugins, self.environ, others=[found.name for found in installed()]):
            click.echo(f"warning: {line}", err=True)

    @asynccontextmanager
    async def admin(self, names: Sequence[str] = ()) -> AsyncIterator[Admin]:
        """People's side of the store."""
        from jobrunner.admin import Admin
        from jobrunner.store.connect import open_store

        store = open_store(self.address, self.settings.prefix)
        try:
            yield Admin(store, self.plugins(names, strict=bool(names)))
        finally:
            await store.close()


def asynchronous(command: Callable[P, Coroutine[object, object, T]]) -> Callable[P, T]:
    """Run a command's coroutine to its end."""
    import functools

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        import asyncio

        return asyncio.run(command(*args, **kwargs))

    return wrapper


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines; blank lines and `#` lines are passed over, `export` and quotes are taken off.

    Raises:
        SettingsError: The file cannot be read, or a line is none of these.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SettingsError("--env-file", f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingsError("--env-file", f"{path}: it is not UTF-8") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not name.replace("_", "").isalnum() or name[:1].isdigit():
            raise SettingsError("--env-file", f"{path}, line {number}: it is not NAME=value")
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
    return found


def pass_scene(command: Callable[..., T]) -> Callable[..., T]:
    """Hand a command the scene as its first argument."""
    return click.pass_obj(command)
