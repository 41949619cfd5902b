"""Being asked to end while there is something to put away: the first signal cancels what runs, further ones change nothing.

It never ends the process by itself, and puts nothing away.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptionError(Exception):
    """The process was asked to end.

    Attributes:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interruption:
    """Takes the signals that ask a process to end, for as long as its `with` block lasts.

    To be entered on the main thread. Ctrl-C and SIGTERM count also where a shell has told its background jobs to
    ignore them; SIGHUP does not under `nohup`, which is there for that.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._cancel: Callable[[], object] | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if number is signal.SIGHUP and before is signal.SIG_IGN:
                continue
            self._before[number] = before
            signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        """Run a coroutine to its end, or cancel it when the process is asked to end, however early that was.

        Args:
            coroutine: What to run, on a loop of its own.

        Returns:
            What it returned.

        Raises:
            InterruptionError: It was cancelled by a signal, and has put away what it holds.
        """
        return asyncio.run(self._run(coroutine))

    async def _run(self, coroutine: Coroutine[object, object, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(coroutine)
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)  # a handler runs between any two steps
        if self._number is not None:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._number is None:
                raise
            raise InterruptionError(self._number) from None
        finally:
            self._cancel = None

    def _ask(self, number: int, _: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            if self._cancel is not None:
                self._cancel()
