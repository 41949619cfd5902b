"""The plugins' resources in a worker: entered once before the first job, left after the last one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from jobrunner.errors import JobrunnerError, PluginError
from jobrunner.plugins import Plugins


class Resources:
    """Every plugin's resources, found by type. An async context manager.

    Args:
        plugins: The plugins that are asked, in their order; they are left in the opposite one.
        is_child: Whether this is a process executor's child.
    """

    def __init__(self, plugins: Plugins, *, is_child: bool = False) -> None:
        self._plugins = plugins
        self._is_child = is_child
        self._stack = AsyncExitStack()
        self._found: dict[str, list[object]] = {}

    async def __aenter__(self) -> Self:
        """Enter them.

        Raises:
            PluginError: One of them cannot be made; those before it are left again.
        """
        await self._stack.__aenter__()
        for plugin, _ in self._plugins.implementing("jobrunner_resources"):
            manager = plugin.call("jobrunner_resources", settings=plugin.settings, is_child=self._is_child)
            if manager is None:
                continue
            if not isinstance(manager, AbstractAsyncContextManager):
                await self._stack.aclose()
                raise PluginError(
                    f"{plugin.found.blame}: jobrunner_resources must return an async context manager"
                )
            try:
                given = await self._stack.enter_async_context(manager)
            except JobrunnerError:
                await self._stack.aclose()
                raise
            except Exception as error:
                await self._stack.aclose()
                raise PluginError(
                    f"{plugin.found.blame}: its resources: {type(error).__name__}: {error}"
                ) from error
            self._found[plugin.name] = list(given) if isinstance(given, (list, tuple)) else [given]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave them."""
        await self._stack.__aexit__(kind, error, trace)

    def get(self, plugin: str, kind: type[object]) -> object:
        """A plugin's resource of a type.

        Raises:
            LookupError: It has none.
        """
        for resource in self._found.get(plugin, ()):
            if isinstance(resource, kind):
                return resource
        here = ", ".join(type(resource).__name__ for resource in self._found.get(plugin, ())) or "none"
        raise LookupError(f"the plugin {plugin} has no resource of type {kind.__name__} (it has: {here})")
