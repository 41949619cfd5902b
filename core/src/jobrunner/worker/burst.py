"""Telling when a burst is over: nothing is left but jobs that a producer scheduled for later."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobrunner.errors import StoreError
from jobrunner.model import State
from jobrunner.store import calls, looks
from jobrunner.store.keys import QueueKeys
from jobrunner.store.store import Store
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.health import Health

LOOK_S = 0.1
PAGE = 500


class Burst:
    """Watches for the end of a burst.

    Args:
        consumers: The worker's consumers.
        store: The store.
        health: Where failures are noted.
    """

    def __init__(self, consumers: Sequence[Consumer], store: Store, health: Health) -> None:
        self._consumers = consumers
        self._store = store
        self._health = health
        self.scheduled = 0
        """Jobs that are left, scheduled for later."""

    async def wait(self) -> None:
        """Return when nothing is left to do, now or by a retry, in any worker."""
        failures = 0
        while True:
            await asyncio.sleep(LOOK_S)
            if not all(consumer.idle for consumer in self._consumers):
                continue
            try:
                if await self._is_over():
                    return
            except StoreError as error:
                failures += 1
                await self._health.failed("burst", error, failures)

    async def _is_over(self) -> bool:
        scheduled = 0
        for consumer in self._consumers:
            keys = self._store.keys(consumer.queue.name)
            started, counts = await self._started(keys), await self._store.run(calls.counts(keys))
            if counts.waiting or counts.active or counts.coming:
                return False
            if counts.delayed:
                if not await self._only_scheduled(consumer):
                    return False
                # What was looked at may have started meanwhile: then it was in no list that was read.
                after = await self._store.run(calls.counts(keys))
                if after.waiting or after.active or after.delayed != counts.delayed:
                    return False
                if await self._started(keys) != started:
                    return False
            scheduled += counts.delayed
        self.scheduled = scheduled
        return True

    async def _started(self, keys: QueueKeys) -> object:
        """How many runs have started in a queue, ever."""
        return await self._store.run(calls.command("HGET", keys["stats"], "started"))

    async def _only_scheduled(self, consumer: Consumer) -> bool:
        """Whether no delayed job has run before: none of them is a retry."""
        keys, start = self._store.keys(consumer.queue.name), 0
        while True:
            ids = [
                job_id
                for job_id, _ in await self._store.run(
                    looks.page(keys, State.DELAYED, start=start, limit=PAGE)
                )
            ]
            if not ids:
                return True
            attempts = await self._store.run(looks.field(keys, "attempts", ids))
            if any(attempts):
                return False
            start += PAGE
