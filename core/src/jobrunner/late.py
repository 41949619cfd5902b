"""A resource that is opened when it is first asked for, so that a worker that waits for jobs does not carry it.

For what is large to import or to hold and not needed before the first job, such as a database's library. It never
opens twice at the same moment, and never retries by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """A resource that is opened when it is first asked for. An async context manager, entered once a worker.

    What can be wrong in the settings is best checked before, when the worker starts: what is late is told late.

    Args:
        open_it: Makes an async context manager that yields the resource; called when it is first asked for, on the
            event loop. Imports of its own belong in it.
    """

    def __init__(self, open_it: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open_it = open_it
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._given: list[T] = []

    async def get(self) -> T:
        """Return the resource; the first call opens it, those at the same moment wait for that, and later ones do not.

        Raises:
            Exception: Whatever opening it raises. The next call tries again.
        """
        async with self._opening:
            if not self._given:
                self._given.append(await self._stack.enter_async_context(self._open_it()))
        return self._given[0]

    async def __aenter__(self) -> Self:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the resource if it was opened."""
        await self._stack.__aexit__(kind, error, trace)
