"""The lease thread: renews what this worker holds, and watches the event loop while it does.

It has a connection of its own, so a handler that blocks the loop loses no lease. It stops renewing at a job's
deadline, and when the loop has stood still for so long that nobody would believe in it any more.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

from jobrunner.errors import JobrunnerError
from jobrunner.events import WorkerDutyRestarted, WorkerLoopBlocked
from jobrunner.store import calls
from jobrunner.store.store import SyncStore
from jobrunner.worker.attempt import STOP_WAIT_S, Attempt, Stop
from jobrunner.worker.consumer import Consumer

LOOK_S = 2.0
"""Seconds between renewals at the most: a job that was cancelled learns of it within this time."""

BLOCKED_S = 1.0
"""Seconds without a tick after which the loop counts as blocked."""

STALL_LEASES = 20
"""Leases without a sign of life from the loop after which this worker is given up: its jobs are let go."""

BATCH = 500

CLOSE_S = 0.5
"""Seconds that a stop waits for the thread; it holds nothing that would be lost."""


class Leases:
    """The lease thread of a worker.

    Args:
        consumers: Whose jobs are renewed.
        open_store: Opens the thread's own store.
        tell: Hands an event to the loop's thread.
        worker_id: For events.
    """

    def __init__(
        self,
        consumers: Sequence[Consumer],
        open_store: Callable[[], SyncStore],
        tell: Callable[[WorkerLoopBlocked | WorkerDutyRestarted], None],
        worker_id: str,
    ) -> None:
        self._consumers = consumers
        self._open_store = open_store
        self._tell = tell
        self._worker_id = worker_id
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._ticked = 0.0
        self._blocked_since = 0.0
        self.renewed = 0
        """Leases renewed, in all."""
        self.lag_s = 0.0
        """The longest time without a tick since it was last asked for."""

    def start(self) -> None:
        """Start the thread; called on the loop's thread."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._tick()
        self._thread = threading.Thread(target=self._serve, name="jobrunner-leases", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End the thread, or leave it where it waits for a store that does not answer."""
        self._over.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, CLOSE_S)

    def take_lag(self) -> float:
        """The longest time without a tick since the last call, in seconds."""
        lag, self.lag_s = self.lag_s, 0.0
        return lag

    def _tick(self) -> None:
        """Runs on the loop: proof that it moves."""
        now = time.monotonic()
        if self._ticked:
            self.lag_s = max(self.lag_s, now - self._ticked - self._interval)
        self._ticked = now
        assert self._loop is not None
        if not self._over.is_set():
            self._loop.call_later(self._interval, self._tick)

    @property
    def _interval(self) -> float:
        """Seconds between two renewals."""
        shortest = min((consumer.queue.lease for consumer in self._consumers), default=30.0)
        return min(LOOK_S, shortest / 4)

    def _serve(self) -> None:
        store: SyncStore | None = None
        while not self._over.wait(self._interval):
            self._watch()
            for consumer in self._consumers:
                try:  # each by itself: one whose keys are broken costs the others nothing
                    store = store or self._open_store()
                    self._renew(consumer, store)
                except JobrunnerError:
                    continue  # the exchange tells of it; the outage grace keeps the leases
                except Exception as error:  # noqa: BLE001 - this thread ends when it is told to, and never by itself
                    if self._loop is None or self._loop.is_closed():
                        return
                    self._tell(self._failed(error))
        if store is not None:
            store.close()

    def _renew(self, consumer: Consumer, store: SyncStore) -> None:
        alive = time.monotonic() - self._moved() < STALL_LEASES * consumer.queue.lease
        held = [attempt for attempt in list(consumer.held.values()) if alive and self._is_ours(attempt)]
        keys, lease_ms = store.keys(consumer.queue.name), int(consumer.queue.lease * 1000)
        for start in range(0, len(held), BATCH):
            part = held[start : start + BATCH]
            answer = store.run(calls.extend(keys, lease_ms, [(one.id, one.nonce) for one in part]))
            self.renewed += len(part) - len(answer.lost)
            if not (answer.lost or answer.cancelled):
                continue
            lost = set(answer.lost)
            for attempt in part:
                if attempt.id in lost:
                    self._on_loop(self._lost, consumer, attempt)
                elif attempt.id in answer.cancelled:
                    self._on_loop(consumer.cancel, attempt, answer.cancelled[attempt.id])

    @staticmethod
    def _lost(consumer: Consumer, attempt: Attempt) -> None:
        if not attempt.over:  # it may have been settled while the answer travelled
            consumer.lost(attempt)

    def _on_loop(self, function: Callable[..., None], *args: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *args)

    def _moved(self) -> float:
        """When the loop last showed life: it ticked, or a handler on it came to its end.

        Handlers that block it one after the other leave it no time to tick, each of them within bounds.
        """
        ends = (attempt.ended_at for one in self._consumers for attempt in list(one.held.values()))
        return max(self._ticked, max(ends, default=0.0))

    def _is_ours(self, attempt: Attempt) -> bool:
        """Whether a lease is to be renewed, as far as the attempt tells."""
        now = time.monotonic()
        if attempt.stop is Stop.LEASE_LOST:
            return False
        return not attempt.deadline or attempt.over or now <= attempt.deadline + 2 * STOP_WAIT_S

    def _failed(self, error: Exception) -> WorkerDutyRestarted:
        return WorkerDutyRestarted(
            timestamp=time.time(),
            worker_id=self._worker_id,
            duty="leases",
            error_type=type(error).__name__,
            error=str(error)[:1000],
            traceback="".join(traceback.format_exception(error, limit=-10))[-4000:],
        )

    def _watch(self) -> None:
        """Tell once of each time that the loop stands still, with what it stands in."""
        behind = time.monotonic() - self._ticked - self._interval
        if behind < BLOCKED_S:
            self._blocked_since = 0.0
            return
        self.lag_s = max(self.lag_s, behind)
        if self._blocked_since == self._ticked:
            return
        self._blocked_since = self._ticked
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way to another thread's stack
        stack = "".join(traceback.format_stack(frame, limit=20))[-4000:] if frame else ""
        self._tell(
            WorkerLoopBlocked(
                timestamp=time.time(),
                worker_id=self._worker_id,
                blocked_ms=int(behind * 1000),
                stack=stack,
                queue=self._suspect(stack),
            )
        )

    def _suspect(self, stack: str) -> str:
        """The queue whose handler stands in the stack."""
        for consumer in self._consumers:
            code = getattr(consumer.queue.handler, "__code__", None)
            if code is not None and f'"{code.co_filename}"' in stack and f"in {code.co_name}" in stack:
                return consumer.queue.name
        return ""
