"""Whether the store answers, for all loops of a worker together: one line when it is lost, one when it is back."""

from __future__ import annotations

import asyncio
import contextlib

from jobrunner.backoff import reconnect_delay
from jobrunner.clock import Clock
from jobrunner.errors import OutcomeUnknownError, StoreError, StoreRefusedError, StoreUnavailableError
from jobrunner.events import WorkerStoreLost, WorkerStoreRecovered
from jobrunner.observers import Observers

REFUSED_WAIT_S = 5.0
"""Seconds between tries of a server that does not let us in: somebody may be changing a password."""

AT_LEAST_S = 0.25
"""Seconds that a loop waits though another one found the store: in a cluster its own node may still be away."""


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
        self._found = asyncio.Event()
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
            self._found.set()
            self._observers.tell(
                WorkerStoreRecovered(
                    timestamp=self._observers.now(), worker_id=self._worker_id, duty=duty, outage_ms=outage_ms
                )
            )

    async def failed(self, duty: str, error: StoreError, failures: int) -> None:
        """Note that a call failed, and wait before the next try: longer each time, up to 5 s.

        Where the store was away, the wait is over as soon as another loop finds it again, but lasts `AT_LEAST_S`.
        """
        if self._lost_since is None:
            self._lost_since = self._clock.monotonic()
            self._found.clear()
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
        if not isinstance(error, (StoreUnavailableError, OutcomeUnknownError)):
            await asyncio.sleep(wait)
            return
        await asyncio.sleep(min(wait, AT_LEAST_S))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wait - AT_LEAST_S)):
                await self._found.wait()
