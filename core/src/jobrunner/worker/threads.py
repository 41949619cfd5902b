"""Threads for plain handlers: kept for the next job, and left behind when a handler does not end.

Threads are daemons, since one that hangs must not keep the process from ending; that is why the standard
library's pool is not used.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable

Work = tuple[Callable[[], object], "asyncio.Future[object]", contextvars.Context]


_NOT_CARRIED = (StopIteration, GeneratorExit, KeyboardInterrupt, SystemExit)
"""What a future cannot carry: Python or the event loop would take each for something of its own."""


def _nothing() -> None:
    return


class Threads:
    """Threads that are made when needed and reused. Used from one event loop."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[queue.SimpleQueue[Work | None]] = []
        self._left: dict[asyncio.Future[object], Callable[[], None]] = {}
        self._made = 0

    async def run(
        self,
        work: Callable[[], object],
        *,
        left: Callable[[], None] = _nothing,
        back: Callable[[], None] = _nothing,
    ) -> object:
        """Run `work` in a thread and return what it returned; raises what it raised.

        Args:
            work: Called in the thread.
            left: Called when the caller is cancelled: the thread goes on, and is not used again until it has ended.
            back: Called when such a thread has ended after all.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()
        inbox = self._idle.pop() if self._idle else self._start(loop)
        inbox.put((work, future, contextvars.copy_context()))
        try:
            return await future
        except asyncio.CancelledError:
            left()
            self._left[future] = back
            raise

    def close(self) -> None:
        """Let idle threads end; those that run end with the process."""
        while self._idle:
            self._idle.pop().put(None)

    def _start(self, loop: asyncio.AbstractEventLoop) -> queue.SimpleQueue[Work | None]:
        inbox: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._made += 1
        thread = threading.Thread(
            target=self._serve, args=(inbox, loop), name=f"{self._name}-{self._made}", daemon=True
        )
        thread.start()
        return inbox

    def _serve(self, inbox: queue.SimpleQueue[Work | None], loop: asyncio.AbstractEventLoop) -> None:
        while (item := inbox.get()) is not None:
            work, future, context = item
            result: object = None
            error: BaseException | None = None
            try:
                result = context.run(work)
            except BaseException as raised:  # noqa: BLE001 - it is the handler's, and goes to whoever waits
                error = raised
            del item, work, context
            try:
                loop.call_soon_threadsafe(self._done, inbox, future, result, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _done(
        self,
        inbox: queue.SimpleQueue[Work | None],
        future: asyncio.Future[object],
        result: object,
        error: BaseException | None,
    ) -> None:
        self._idle.append(inbox)
        if future.done():
            self._left.pop(future, _nothing)()
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, _NOT_CARRIED):
            future.set_exception(RuntimeError(f"the handler raised {type(error).__name__}: {error}"))
        else:
            future.set_exception(error)
