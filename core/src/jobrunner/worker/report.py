"""What a worker says of itself in the store, every few seconds: that it lives, what it serves, how it feels."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from jobrunner.declaration import Declaration
from jobrunner.errors import StoreError, StoreFullError
from jobrunner.fleet import WorkerReport
from jobrunner.record import UNREADABLE
from jobrunner.store import calls, looks
from jobrunner.store.store import Store
from jobrunner.worker.health import Health

REPORT_S = 5.0
"""Seconds between two reports."""

GONE_MS = 60_000
"""Milliseconds after which a worker that says nothing is struck off."""


class Reporter:
    """Says what there is to say.

    Args:
        store: The store.
        health: Where failures are noted.
        describe: Gives the report, for a server's time, a latency in ms and a clock skew in ms.
        declared: The queues as this worker declares them, with their JSON Schemas.
    """

    def __init__(
        self,
        store: Store,
        health: Health,
        describe: Callable[[int, float, int], WorkerReport],
        declared: list[tuple[Declaration, dict[str, object]]],
    ) -> None:
        self._store = store
        self._health = health
        self._describe = describe
        self._declared = declared
        self._is_declared = not declared
        self._id = ""

    async def begin(self) -> None:
        """Declare the queues, or put it off where the store is full: whoever makes room must be able to start."""
        with contextlib.suppress(StoreFullError):
            await self.declare()

    async def declare(self) -> None:
        """Register the queues that the worker serves, for producers that have not installed their plugins."""
        if self._is_declared:
            return
        fleet = self._store.fleet
        queues: list[object] = ["HSET", fleet.queues]
        schemas: list[object] = ["HSET", fleet.schemas]
        for declared, schema in self._declared:
            queues += [declared.name, msgspec.json.encode(declared)]
            schemas += [declared.name, msgspec.json.encode(schema)]
        await self._store.run(calls.command(*queues))
        await self._store.run(calls.command(*schemas))
        self._is_declared = True

    async def run(self) -> None:
        """Report until cancelled."""
        failures = 0
        while True:
            try:
                await self.declare()
                await self.report()
            except StoreFullError:
                pass  # the store serves all the same: what is worth more than a report needs no memory
            except StoreError as error:
                failures += 1
                await self._health.failed("report", error, failures)
                continue
            failures = 0
            await asyncio.sleep(REPORT_S)

    async def report(self) -> None:
        """Report once, and strike off workers that have not for a minute."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        now_ms = await self._store.run(calls.server_ms())
        took_ms = (loop.time() - begun) * 1000
        report = self._describe(now_ms, round(took_ms, 2), int(took_ms / 2))
        self._id = report.id
        workers = self._store.fleet.workers
        await self._store.run(calls.command("HSET", workers, report.id, msgspec.json.encode(report)))
        if now_ms % 10 == 0:  # one report in ten, by chance
            await self._strike_off(now_ms)

    async def leave(self) -> None:
        """Say that the worker is gone."""
        if self._id:
            await self._store.run(calls.command("HDEL", self._store.fleet.workers, self._id))

    async def _strike_off(self, now_ms: int) -> None:
        gone = []
        for worker_id, raw in (await self._store.run(looks.hash_of(self._store.fleet.workers))).items():
            try:
                seen = msgspec.json.decode(raw, type=WorkerReport).seen_ms
            except UNREADABLE:
                seen = 0
            if now_ms - seen > GONE_MS:
                gone.append(worker_id)
        if gone:
            await self._store.run(calls.command("HDEL", self._store.fleet.workers, *gone))
