"""The worker's loops, each watched over: one that ends by an error of its own is told of and started again."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable

from jobrunner.backoff import reconnect_delay
from jobrunner.events import WorkerDutyRestarted
from jobrunner.observers import Observers


class Duties:
    """Loops that cannot end but by being told to.

    Args:
        worker_id: For events.
        observers: Who is told.
    """

    def __init__(self, worker_id: str, observers: Observers) -> None:
        self._worker_id = worker_id
        self._observers = observers
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Start a loop; its task ends when the loop returns, or is cancelled."""
        task = self._tasks[name] = asyncio.create_task(self._watch(name, loop), name=f"jobrunner {name}")
        return task

    async def stop(self, *names: str) -> None:
        """Cancel loops, all of them where none is named, and wait until they have ended."""
        tasks = [self._tasks.pop(name) for name in (names or tuple(self._tasks)) if name in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                await loop()
            except Exception as error:  # noqa: BLE001 - a bug of ours must not end a duty
                failures += 1
                self._observers.tell(
                    WorkerDutyRestarted(
                        timestamp=self._observers.now(),
                        worker_id=self._worker_id,
                        duty=name,
                        error_type=type(error).__name__,
                        error=str(error)[:1000],
                        traceback="".join(traceback.format_exception(error, limit=-10))[-4000:],
                    )
                )
                await asyncio.sleep(reconnect_delay(failures))
            else:
                return
