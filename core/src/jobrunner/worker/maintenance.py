"""What has to be done now and then for a queue, by any worker: recover, trim, unpark, forget, give turns.

There is no leader: every worker does it with jitter, each step is one bounded script, and doing it twice does
no harm.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from jobrunner.backoff import crash_delays
from jobrunner.clock import Clock
from jobrunner.errors import StoreCorruptError, StoreError
from jobrunner.events import JobBuried, JobCancelled, JobRecovered
from jobrunner.limits import Limits
from jobrunner.model import Keep, State
from jobrunner.observers import Observers
from jobrunner.queue import Queue
from jobrunner.record import Note, decode_journal, decode_record
from jobrunner.sealing import Keyring
from jobrunner.store import calls, looks
from jobrunner.store.store import Store
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.health import Health

RECOVER_LIMIT = 100
TRIM_LIMIT = 500
"""Jobs that one script recovers or forgets; far below 5 ms of Redis."""

PRUNE_LIMIT = 1000
"""Ids that one script forgets."""

TRIM_S = 20.0
"""Seconds between two rounds of trimming by age and size."""

SAMPLE = 50
"""Jobs that are measured to tell how many fit into a bound of bytes."""

OWN_MS = 120_000
"""Milliseconds since its enqueue for which an id of ours is remembered; producers send again for 60 s."""


class Maintenance:
    """Looks after the queues that a worker serves.

    Args:
        consumers: The worker's consumers.
        store: The store.
        health: Where failures are noted.
        observers: Who is told.
        clock: The time.
        worker_id: For events.
        keyring: Tells which sealed payloads can be opened here.
        chance: The jitter's source.
    """

    def __init__(
        self,
        consumers: list[Consumer],
        store: Store,
        *,
        health: Health,
        observers: Observers,
        clock: Clock,
        worker_id: str,
        keyring: Keyring,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._consumers = consumers
        self._store = store
        self._health = health
        self._observers = observers
        self._clock = clock
        self._worker_id = worker_id
        self._keyring = keyring
        self._chance = chance

    async def recover_forever(self, consumer: Consumer) -> None:
        """Take back leases that ran out, every third of a lease, until cancelled."""
        failures = 0
        while True:
            try:
                await self.recover(consumer.queue, consumer)
            except StoreError as error:
                failures += 1
                await self._health.failed(f"recover {consumer.queue.name}", error, failures)
                continue
            failures = 0
            self._health.succeeded("recover")
            await asyncio.sleep(consumer.queue.lease / 3 * (0.8 + 0.4 * self._chance()))

    async def trim_forever(self) -> None:
        """Trim every queue by age and size, until cancelled."""
        failures = 0
        while True:
            try:
                await self._tidy_all()
            except StoreError as error:
                failures += 1
                await self._health.failed("trim", error, failures)
                continue
            failures = 0
            await asyncio.sleep(TRIM_S * (0.8 + 0.4 * self._chance()))

    async def recover(self, queue: Queue, consumer: Consumer | None = None) -> int:
        """Take back every lease of a queue that ran out; how many there were."""
        keys, total = self._store.keys(queue.name), 0
        delays = [int(bound * 1000) for bound in crash_delays(queue.max_crashes)]
        while True:
            answer = await self._store.run(
                calls.recover(
                    keys,
                    lease_ms=int(queue.lease * 1000),
                    limit=RECOVER_LIMIT,
                    max_crashes=queue.max_crashes,
                    seed=int(self._chance() * 2**31),
                    delays_ms=delays,
                )
            )
            total += answer.total
            plugin = consumer.plugin if consumer else ""
            for kind, ids in (
                (JobRecovered, answer.delayed),
                (JobBuried, answer.buried),
                (JobCancelled, answer.cancelled),
            ):
                for job_id in ids:
                    self._observers.tell(
                        kind(
                            timestamp=self._observers.now(),
                            queue=queue.name,
                            plugin=plugin,
                            job_id=job_id,
                            worker_id=self._worker_id,
                        )
                    )
            if answer.total < RECOVER_LIMIT:
                return total

    async def _tidy_all(self) -> None:
        """Tidy each queue, also where an earlier one has a key that is not ours; of that is told at the end."""
        broken: StoreCorruptError | None = None
        for consumer in self._consumers:
            try:
                await self.tidy(consumer)
            except StoreCorruptError as error:
                broken = error
        if broken is not None:
            raise broken

    async def tidy(self, consumer: Consumer) -> None:
        """Trim what ended, prune the ids that are remembered, line up what was parked for this version.

        Tenants whose jobs are held are given a turn where they may start some: whatever was to do that, and was lost.
        """
        queue, keys = consumer.queue, self._store.keys(consumer.queue.name)
        consumer.keep = await self._trim(queue, State.COMPLETED, queue.keep_completed)
        await self._trim(queue, State.FAILED, queue.keep_failed)
        await self._trim(queue, State.CANCELLED, queue.keep_failed)
        while await self._store.run(calls.prune(keys, PRUNE_LIMIT)) == PRUNE_LIMIT:
            pass
        await self._unpark(queue)
        rate = queue.rate_limit_per_tenant.stored if queue.rate_limit_per_tenant else "0"
        await Limits(self._store).look_again(
            queue.name, max_active=queue.max_active_per_tenant or 0, rate=rate
        )

    async def _trim(self, queue: Queue, state: State, keep: Keep) -> int:
        """Trim one state, a step at a time; the number of jobs that it may keep."""
        keys = self._store.keys(queue.name)
        jobs = min(keep.jobs, await self._fitting(queue, state, keep.size))
        while True:
            forgotten = await self._store.run(
                calls.trim(
                    keys,
                    state,
                    keep=jobs,
                    keep_ms=int(keep.age * 1000),
                    limit=TRIM_LIMIT,
                    own_ms=OWN_MS,
                    chosen_ms=int(queue.idempotency * 1000),
                )
            )
            if forgotten < TRIM_LIMIT:
                return jobs
            await asyncio.sleep(0)

    async def _fitting(self, queue: Queue, state: State, size: int) -> int:
        """How many jobs of a state fit into `size` bytes, by the newest of them."""
        keys = self._store.keys(queue.name)
        sample = [
            job_id for job_id, _ in await self._store.run(looks.page(keys, state, start=0, limit=SAMPLE))
        ]
        if not sample:
            return 1 << 40
        measured = 0
        for part in ("jobs", "state", "steps", "logs"):
            measured += sum(
                len(value or b"") for value in await self._store.run(looks.field(keys, part, sample))
            )
        # 200 bytes: what the entries of a job in hashes and sorted sets cost beside its text.
        return int(size / (measured / len(sample) + 200))

    def _runs_here(self, raw: bytes | None, queue: Queue) -> bool:
        """Whether a payload's version is known here, and its key."""
        try:
            record = decode_record(raw or b"")
        except StoreCorruptError:
            return False
        known = record.version == queue.version or record.version in queue.upgrades
        return known and self._keyring.opens(record)

    async def _unpark(self, queue: Queue) -> None:
        """Line up parked jobs whose payload this worker can read."""
        keys = self._store.keys(queue.name)
        parked = [
            job_id
            for job_id, score in await self._store.run(looks.page(keys, State.PARKED, start=0, limit=500))
            if score > 0  # the others are held for their tenants, and no version lets them go
        ]
        if not parked:
            return
        known = []
        records = await self._store.run(looks.records(keys, parked))
        journals = await self._store.run(looks.field(keys, "state", parked))
        for job_id, record, journal in zip(parked, records, journals, strict=True):
            entries = decode_journal(journal)
            last = entries[-1].entry if entries else None
            by_version = isinstance(last, Note) and last.what == "parked"
            if by_version and self._runs_here(record, queue):
                known.append(job_id)
        for start in range(0, len(known), calls.MAX_BY_HAND):
            part = known[start : start + calls.MAX_BY_HAND]
            await self._store.run(calls.retry(keys, State.PARKED, part, forgive=False))
