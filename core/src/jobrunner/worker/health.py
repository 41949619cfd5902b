"""Whether the store answers, for all loops of a worker together: one line when it is lost, one when it is back."""

from __future__ import annotations

import asyncio

from jobrunner.backoff import reconnect_delay
from jobrunner.clock import Clock
from jobrunner.errors import StoreError, StoreRefusedError
from jobrunner.events import WorkerStoreLost, WorkerStoreRecovered
from jobrunner.observers import Observers

REFUSED_WAIT_S = 5.0
"""Seconds between tries of a server that does not let us in: somebody may be changing a password."""


class Health:
    """What is known of the store.

    Attributes:
        last_success: The monotonic time of the last exchange or store call that succeeded.
    """

    def __init__(self, worker_id: str, observers: Observers, clock: Clock) -> None:
        self._worker_id = worker_id
        self._observers = observers
        self._clock = clock
        self._lost_since: float | None = None
        self.last_success = clock.monotonic()

    @property
    def is_lost(self) -> bool:
        """Whether the last call failed."""
        return self._lost_since is not None

    def succeeded(self, duty: str) -> None:
        """Note that a call succeeded."""
        now = self.last_success = self._clock.monotonic()
        if self._lost_since is not None:
            outage_ms = int((now - self._lost_since) * 1000)
            self._lost_since = None
            self._observers.tell(
                WorkerStoreRecovered(
                    timestamp=self._observers.now(), worker_id=self._worker_id, duty=duty, outage_ms=outage_ms
                )
            )

    async def failed(self, duty: str, error: StoreError, failures: int) -> None:
        """Note that a call failed, and wait before the next try: longer each time, up to 5 s."""
        if self._lost_since is None:
            self._lost_since = self._clock.monotonic()
            self._observers.tell(
                WorkerStoreLost(
                    timestamp=self._observers.now(),
                    worker_id=self._worker_id,
                    duty=duty,
                    error_type=type(error).__name__,
                    error=str(error),
                )
            )
        wait = REFUSED_WAIT_S if isinstance(error, StoreRefusedError) else reconnect_delay(failures)
        await asyncio.sleep(wait)
