"""Resources that a test gives in place of a plugin's own."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from jobrunner.plugins import Plugins
from jobrunner.worker.resources import Resources


class GivenResources(Resources):
    """What a test gives, by type; the plugins' own resources are not made, and nothing is closed here.

    Args:
        given: Type -> object. The object need not be of the type: a stand-in will do.
    """

    def __init__(self, given: Mapping[type[object], object]) -> None:
        super().__init__(Plugins([]))
        self._given = dict(given)

    async def __aenter__(self) -> Self:
        """Nothing to enter: the test owns them."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to leave."""

    def get(self, plugin: str, kind: type[object]) -> object:
        """The object that was given for a type, else the first that is an instance of it.

        Raises:
            LookupError: There is none.
        """
        del plugin
        if kind in self._given:
            return self._given[kind]
        for resource in self._given.values():
            if isinstance(resource, kind):
                return resource
        here = ", ".join(one.__name__ for one in self._given) or "none"
        raise LookupError(f"the test gave no resource of type {kind.__name__} (it gave: {here})")


def resources_for(plugins: Plugins, given: Mapping[type[object], object] | Resources | None) -> Resources:
    """The plugins' own resources, or what the test gives in their place."""
    if isinstance(given, Resources):
        return given
    return Resources(plugins) if given is None else GivenResources(given)
