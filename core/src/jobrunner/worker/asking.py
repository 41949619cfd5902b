"""Asks the store for one exchange until it is answered: what a lost answer may mean, and when nobody needs it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from jobrunner.clock import Clock
from jobrunner.errors import (
    LateExchangeError,
    OutcomeUnknownError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
)
from jobrunner.store import calls
from jobrunner.store.answers import Exchanged
from jobrunner.store.calls import Exchange
from jobrunner.store.store import Store
from jobrunner.worker.health import Health

EMPTY_HANDED_S = 2.0
"""Seconds for which one that is told to stop, and has nothing to settle, asks again for what a lost answer may have brought it."""


class Asker:
    """Sends one queue's exchanges.

    Args:
        queue: The queue's name.
        store: The store.
        health: Where failures of the store are noted.
        clock: Measures how long an answer has been waited for.
    """

    def __init__(self, queue: str, store: Store, health: Health, clock: Clock) -> None:
        self._queue = queue
        self._keys = store.keys(queue)
        self._store = store
        self._health = health
        self._clock = clock
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """From now on only what there is to settle is worth waiting for."""
        self._stopped.set()

    async def ask(self, request: Exchange) -> Exchanged | None:
        """Send an exchange until it is answered.

        Returns:
            The answer; None where the store remembers a later exchange, or nobody needs the answer any more. What it may
            have reserved then comes back by its lease.
        """
        call = calls.exchange(self._keys, request)
        failures, certain, begun = 0, True, self._clock.monotonic()
        while True:
            try:
                answer = await self._store.run(call)
            except LateExchangeError:
                return None
            except StoreError as error:
                certain &= isinstance(error, StoreUnavailableError)  # it was never sent
                if isinstance(error, OutcomeUnknownError) and failures == 0:
                    failures += 1  # a connection that had died unseen: the first try again is at once
                    continue
                failures += 5 if isinstance(error, StoreCorruptError) else 1
                settles = request.plain or request.settlements
                is_late = certain or self._clock.monotonic() - begun > EMPTY_HANDED_S
                if self._stopped.is_set() and is_late and not settles:
                    return None
                await self._pause(self._health.failed(f"exchange {self._queue}", error, failures))
            else:
                self._health.succeeded("exchange")
                return answer

    async def _pause(self, wait: Coroutine[object, object, None]) -> None:
        """Wait before the next try; being told to stop ends that, once."""
        if self._stopped.is_set():
            await wait
            return
        told, waits = asyncio.create_task(self._stopped.wait()), asyncio.create_task(wait)
        try:
            await asyncio.wait((told, waits), return_when=asyncio.FIRST_COMPLETED)
            if waits.done():
                waits.result()
        finally:
            told.cancel()
            waits.cancel()
            await asyncio.gather(told, waits, return_exceptions=True)
