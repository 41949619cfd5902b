"""Cancelling a handler at its first wait, with stand-ins for all of its resources, to see whether it lets itself be.

Only ever used in a process of its own that keeps what runs from going outside; see `import_watch`. It judges one
handler at a time and knows no contract.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import partial
from typing import Self, cast

import msgspec

from jobrunner.errors import JobrunnerError
from jobrunner.job import Job
from jobrunner.plugins import Plugins
from jobrunner.queue import Queue
from jobrunner.testing.performing import perform_job
from jobrunner.worker.attempt import STOP_WAIT_S, Attempt, Stop
from jobrunner.worker.resources import Resources


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one handler.

    Attributes:
        breach: What it does instead of stopping, as the end of a sentence; empty where it stops, or nobody knows.
        skipped: Why nobody knows; empty where it was tried.
    """

    breach: str = ""
    skipped: str = ""


class Anything:
    """Stands in for whatever a resource is: each part of it is another one, and to await one is to wait for ever."""

    def __getattr__(self, name: str) -> Anything:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()

    def __call__(self, *_: object, **__: object) -> Anything:
        """Whatever it is called with."""
        return Anything()

    def __await__(self) -> Generator[object, None, None]:
        yield from asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        await self
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing was entered."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was entered."""

    def __iter__(self) -> Iterator[object]:
        return iter(())

    async def __aiter__(self) -> AsyncIterator[object]:
        await self
        yield self

    def __getitem__(self, _: object) -> Anything:
        return Anything()


class StandIns(Resources):
    """Gives a stand-in for every type."""

    def __init__(self) -> None:
        super().__init__(Plugins([]))

    def get(self, plugin: str, kind: type[object]) -> object:
        """A stand-in."""
        del plugin, kind
        return Anything()


class _FirstWait:
    """Awaits a coroutine, and says so at the first time that it really waits."""

    def __init__(self, inner: Generator[object, object, object], waits: Callable[[], None]) -> None:
        self._inner = inner
        self._waits = waits

    def __await__(self) -> Generator[object, object, object]:
        try:
            told = next(self._inner)
        except StopIteration as end:
            return end.value
        self._waits()
        while True:
            try:
                sent = yield told
            except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the coroutine's
                step = partial(self._inner.throw, error)
            else:
                step = partial(self._inner.send, sent)
            try:
                told = step()
            except StopIteration as end:
                return end.value


async def watch_cancelling(queue: Queue, payload: dict[str, object]) -> Verdict:
    """Run a handler until it waits, cancel it, and see whether it stops.

    Args:
        queue: Its queue; the handler is an `async def`.
        payload: A valid payload, in the names of the wire.
    """
    waited = False

    async def handler(job: Job[msgspec.Struct]) -> object:
        def cancel() -> None:
            nonlocal waited
            waited = True
            cast("Attempt", job._port).request_stop(Stop.CANCELLED, "check_plugin tries it")  # noqa: SLF001 - the test kit is the core's

        coroutine = queue.handler(job)
        return await _FirstWait(coroutine.__await__(), cancel)  # type: ignore[attr-defined]  # an `async def`, as is checked

    alone = copy.copy(queue)
    alone.handler = handler
    task = asyncio.create_task(perform_job(alone, payload, resources=StandIns()))
    await asyncio.wait([task], timeout=STOP_WAIT_S)
    if not task.done():
        return Verdict(
            breach=f"still runs {STOP_WAIT_S:g} s after it was cancelled: let asyncio.CancelledError through"
            if waited
            else "",
            skipped="" if waited else f"it did not wait within {STOP_WAIT_S:g} s",
        )
    try:
        performed = task.result()
    except JobrunnerError as error:
        return Verdict(skipped=str(error))
    if not waited:
        return Verdict(
            skipped=f"it never waits with stand-ins for its resources ({performed.outcome}: {performed.reason})"
        )
    if performed.outcome == "cancelled":
        return Verdict()
    return Verdict(
        breach=f"goes on when it is cancelled, and ends as {performed.outcome}: let asyncio.CancelledError through"
    )
