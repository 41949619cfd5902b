"""A new plugin's distribution, written from the templates beside this module: whole, tested, ready to be installed.

It writes one folder, in one move, and never over anything. It installs nothing and runs nothing.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import keyword
import os
import re
import shutil
import string
import tempfile
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import msgspec

from jobrunner.discovery import installed
from jobrunner.errors import InvalidNameError, PluginError
from jobrunner.names import check_queue
from jobrunner.plugins import RESERVED_ROUTES, Plugins

MAX_NAME, MAX_QUEUE = 24, 40
"""Characters of a name that is built into class names, file names and lines of code: more of them are no help."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)
_SUFFIX = ".tmpl"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The names of a plugin that is to be written.

    Attributes:
        plugin: What `--plugin` is given.
        queue: Its queue.
        route: Two words, by which the client's factory and the typed producers call the queue.
    """

    plugin: str
    queue: str
    route: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"jobrunner-{self.plugin}"

    @property
    def package(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")

    def names(self) -> dict[str, str]:
        """What the templates put in."""
        word, method = self.route.split("/")
        major, minor, *_ = importlib.metadata.version("jobrunner-core").split(".")
        return {
            "plugin": self.plugin,
            "queue": self.queue,
            "route": self.route,
            "distribution": self.distribution,
            "package": self.package,
            "word": word.replace("-", "_"),
            "method": method.replace("-", "_"),
            "Producer": camel(word),
            "Payload": camel(word) + camel(method),
            "Settings": f"{camel(self.plugin)}Settings",
            "VARIABLE": f"JOBRUNNER_{self.plugin}".upper().replace("-", "_"),
            "core": f"jobrunner-core>={major}.{minor},<{major}.{int(minor) + 1}",
        }


def draft_plugin(name: str, queue: str | None = None) -> Draft:
    """Check the names of a new plugin.

    Args:
        name: The plugin's: lower-case letters, digits and `-`, up to 24, a letter first.
        queue: Its queue's: lower-case words with dots, up to 40; None makes it `NAME.run`.

    Raises:
        InvalidNameError: One cannot be used, or Python could not call it so.
    """
    if not (_NAME.fullmatch(name) and len(name) <= MAX_NAME):
        raise InvalidNameError(
            f"plugin name {name[:80]!r} is not allowed: use 1 to {MAX_NAME} of lower-case letters, digits and "
            "single '-', a letter first"
        )
    queue = check_queue(f"{name}.run" if queue is None else queue)
    if len(queue) > MAX_QUEUE:
        raise InvalidNameError(f"queue name {queue!r} is too long for a new plugin: use up to {MAX_QUEUE}")
    first, dot, rest = queue.partition(".")
    route = f"{first}/{rest}" if dot else f"{name}/{queue}"
    route = route.replace(".", "-").replace("_", "-")
    words = route.split("/")
    if not all(_WORD.fullmatch(word) for word in words):
        raise InvalidNameError(
            f"queue name {queue!r} is not allowed for a new plugin: use lower-case words that begin with a letter, "
            "such as 'mail.send'"
        )
    method = words[1].replace("-", "_")
    for spoken in (method, camel(words[0])):
        if keyword.iskeyword(spoken):
            raise InvalidNameError(
                f"queue name {queue!r} is not allowed for a new plugin: {spoken!r} is a word of Python's own"
            )
    return Draft(plugin=name, queue=queue, route=route)


def check_free(draft: Draft, plugins: Plugins) -> None:
    """See that nothing that is installed has one of the names.

    Raises:
        PluginError: Something has; the message names it.
    """
    for one in installed():
        if one.name == draft.plugin:
            raise PluginError(f"{one.blame} is installed and has that name; choose another, or uninstall it")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        taken = importlib.metadata.distribution(draft.distribution)
        raise PluginError(f"the distribution {taken.name} {taken.version} is installed; choose another name")
    owner = plugins.owner(draft.queue)
    if owner is not None:
        raise PluginError(
            f"{owner.found.blame} declares the queue {draft.queue}; choose another with --queue"
        )
    if draft.route in plugins.routes:
        raise PluginError(
            f"the route {draft.route} is that of the queue {plugins.routes[draft.route].name}; choose another --queue"
        )
    if draft.route.split("/")[0] in RESERVED_ROUTES:
        raise PluginError(
            f"the queue {draft.queue} would shadow the client's own `{draft.route.split('/')[0]}`; choose another --queue"
        )


def write_plugin(draft: Draft, folder: Path) -> list[Path]:
    """Write the distribution: all of it, or nothing.

    Args:
        draft: Its names.
        folder: Where it goes; not there yet, or empty.

    Returns:
        The files, in the order of their names.

    Raises:
        PluginError: The folder holds something, or cannot be written.
    """
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir() or any(folder.iterdir())):
        raise PluginError(
            f"{folder} is there already, and nothing is written over; choose another --directory"
        )
    names = draft.names()
    if not folder.parent.is_dir() and folder.parent.exists():
        raise PluginError(f"{folder} cannot be written: {folder.parent} is no folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{draft.distribution}-", dir=folder.parent))
    except OSError as error:
        raise PluginError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        made.chmod(0o755)  # as a folder that a person makes; a temporary one is its owner's alone
        for path, text in _files(names):
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        made.rename(folder)  # the last step: until here nobody sees anything of it
    except OSError as error:
        raise PluginError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def camel(words: str) -> str:
    """`generate-monthly` as a class is called: `GenerateMonthly`."""
    return "".join(word.capitalize() for word in re.split(r"[-_.]", words))


def _files(names: dict[str, str]) -> Iterator[tuple[PurePosixPath, str]]:
    """Every file: its path in the distribution, and its text."""
    for path, template in _walk(resources.files(__package__) / "templates", PurePosixPath()):
        parts = [
            part.removesuffix(_SUFFIX).replace("dot-", ".", 1).replace("QUEUE", names["queue"])
            for part in path.parts
        ]
        place = PurePosixPath(*(names["package"] if part == "package" else part for part in parts))
        yield place, string.Template(template.read_text("utf-8")).substitute(names)


def _walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, path / entry.name)
        elif entry.name.endswith(_SUFFIX):
            yield path / entry.name, entry
