"""What other distributions add to a plugin: the writers, platforms or engines under one entry-point group.

A plugin's own are found in the same way as everybody's. Making a registry reads nothing and imports nothing; one
that nobody asks for is never imported. Whatever is wrong is blamed on its distribution and version.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Generic, TypeVar

from jobrunner.errors import PluginError

T = TypeVar("T")


class Registry(Generic[T]):
    """What installed distributions declare under an entry-point group, by name; upper and lower case are the same.

    What is installed is read when it is first asked for, and each one imported when it is first wanted; both are
    kept from then on. For use on one thread.

    Args:
        group: The entry-point group, such as `jobrunner_content.writers`.
        kind: What one of them is called in messages, such as `writer`.
        check: Given what an entry point names, returns it as what the plugin uses, or raises a ValueError that says
            what it lacks, such as `has no function draw(order)`.
    """

    def __init__(self, group: str, *, kind: str, check: Callable[[object], T]) -> None:
        self._group = group
        self._kind = kind
        self._check = check
        self._points: dict[str, list[importlib.metadata.EntryPoint]] | None = None
        self._loaded: dict[str, T] = {}

    @property
    def names(self) -> list[str]:
        """The names that are declared, in lower case and in order; nothing is imported."""
        return sorted(self._declared())

    def find(self, name: str) -> T | None:
        """Return one by any spelling of its name, None if no distribution declares it.

        Raises:
            PluginError: Two distributions declare it, it cannot be imported, or it lacks something.
        """
        name = name.lower()
        if name not in self._loaded and name in self._declared():
            self._loaded[name] = self._load(self._one(name))
        return self._loaded.get(name)

    def get(self, name: str) -> T:
        """Return one by any spelling of its name.

        Raises:
            PluginError: As `find`; or no distribution declares it, and the text lists what there is.
        """
        found = self.find(name)
        if found is None:
            raise PluginError(self.missing(name))
        return found

    def check_all(self) -> None:
        """Import all of them, so that a mistake shows when a worker starts and not with some later job.

        Raises:
            PluginError: As `find`, for the first that cannot be used.
        """
        for name in self.names:
            self.find(name)

    def missing(self, name: str) -> str:
        """Say in one line that there is none of that name, and which there are."""
        return f"no installed {self._kind} is named {name!r} (installed: {', '.join(self.names) or 'none'})"

    def _declared(self) -> dict[str, list[importlib.metadata.EntryPoint]]:
        if self._points is None:
            self._points = {}
            for point in importlib.metadata.entry_points(group=self._group):
                self._points.setdefault(point.name.lower(), []).append(point)
        return self._points

    def _one(self, name: str) -> importlib.metadata.EntryPoint:
        first, *others = self._declared()[name]
        for other in others:
            # One distribution can be on the path twice, as with an editable install; that is no conflict.
            if (other.value, _owner(other)) != (first.value, _owner(first)):
                raise PluginError(
                    f"two distributions declare the {self._kind} {name!r}: {_owner(first)} and {_owner(other)}; "
                    "uninstall one of them"
                )
        return first

    def _load(self, point: importlib.metadata.EntryPoint) -> T:
        blame = f"{self._kind} {point.name} ({_owner(point)})"
        try:
            loaded: object = point.load()
        except Exception as error:
            raise PluginError(f"{blame} cannot be imported: {type(error).__name__}: {error}") from error
        try:
            return self._check(loaded)
        except ValueError as error:
            raise PluginError(f"{blame}: {point.value} {error}") from None


def _owner(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unknown distribution"
