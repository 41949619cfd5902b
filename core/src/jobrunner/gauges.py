"""The numbers of queues, read in a constant number of round trips however many queues and jobs there are.

Nothing here lists a job, and nothing changes one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from jobrunner.declaration import Declaration
from jobrunner.model import BUCKETS_MS, State
from jobrunner.names import is_tenant
from jobrunner.showing import queue_stats
from jobrunner.store import calls, looks
from jobrunner.store.answers import Counts as StateCounts
from jobrunner.store.answers import counter
from jobrunner.store.calls import Call
from jobrunner.store.store import Store
from jobrunner.views import Minute, QueueStats

COUNTERS = (
    *("enqueued", "started", "completed", "failed", "buried", "retried", "snoozed", "released"),
    *("cancelled", "parked", "crashed", "recovered", "requeued", "stale"),
)
"""What is counted in a queue since it was first used; `stale` are settlements refused since the lease was lost."""

ALL_TIME = ("completed", "failed", "buried")
MINUTES_KEPT = 1440
"""Minutes that a queue's chart goes back: a day."""

TALLY_LOOK = 1000
"""Entries of a queue's counts by tenant, one a tenant and state, that are looked at for its tenants."""

NEWS_LIMIT = 1000
"""Batches of a queue's news that are read at once."""

_BOUNDS = (*map(str, BUCKETS_MS), "inf", "sum")
_SLOT = re.compile(rb"(\d+) (\d+) (\d+) (\d+) (\d+)")


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue has counted since it was first used.

    Attributes:
        counters: Each of `COUNTERS`.
        duration: Runs by the bucket of their length: an upper bound in ms or `inf`; and their `sum` in ms.
        wait: The same for the time from when a job could start to when it did.
    """

    counters: dict[str, int]
    duration: dict[str, int]
    wait: dict[str, int]


class TenantCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs a tenant has in a queue, by state."""

    tenant: str
    jobs: dict[str, int]


class News(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in some queues between two moments.

    Attributes:
        until_ms: The moment, by the store's clock, up to which everything is told, excluded.
        queues: Queue -> how often what happened; only queues in which something did.
        cut: Queues in which more happened than was read; what is left out is lost to this reader.
    """

    until_ms: int
    queues: dict[str, dict[str, int]]
    cut: list[str]


class Gauges:
    """Reads numbers.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def stats(
        self,
        names: Sequence[str],
        declared: Mapping[str, Declaration],
        serving: Mapping[str, int],
        *,
        tenants: Sequence[str] | None = None,
    ) -> list[QueueStats]:
        """The numbers of some queues.

        Args:
            names: The queues.
            declared: What is known of each.
            serving: Queue -> workers that serve it.
            tenants: Count only their jobs; None counts all.
        """
        if tenants is None:
            found = await self._whole(names)
        else:
            found = [(counts, None) for counts in await self._of_tenants(names, tenants)]
        return [
            queue_stats(
                name,
                counts,
                totals,
                workers=serving.get(name, 0),
                plugin=declared[name].plugin,
                priority=declared[name].priority,
                concurrency=declared[name].concurrency,
            )
            for name, (counts, totals) in zip(names, found, strict=True)
        ]

    async def totals(self, names: Sequence[str]) -> dict[str, Totals]:
        """What some queues have counted, by name."""
        fields = [*COUNTERS, *(f"{kind}:{bound}" for kind in ("duration", "wait") for bound in _BOUNDS)]
        reads = [looks.some_of(self._store.keys(name)["stats"], fields) for name in names]
        answers = await self._store.run_many(reads)
        return {name: _totals(found) for name, found in zip(names, answers, strict=True)}

    async def minutes(self, names: Sequence[str], last: int = 60) -> dict[str, list[Minute]]:
        """What happened in some queues in the last minutes, oldest first, the one under way included.

        Args:
            names: The queues.
            last: Minutes, 1 to 1,440.
        """
        now = await self._store.run(calls.server_ms()) // 60_000
        wanted = list(range(now - min(last, MINUTES_KEPT) + 1, now + 1))
        slots = [f"m{minute % MINUTES_KEPT}" for minute in wanted]
        reads = [looks.some_of(self._store.keys(name)["stats"], slots) for name in names]
        answers = await self._store.run_many(reads)
        return {
            name: [_minute(minute, found.get(slot, b"")) for minute, slot in zip(wanted, slots, strict=True)]
            for name, found in zip(names, answers, strict=True)
        }

    async def tenants(
        self, name: str, *, only: Sequence[str] | None = None, most: int = 50
    ) -> list[TenantCounts]:
        """How many jobs tenants have in a queue, those with the most first.

        Where a queue has hundreds of tenants, some of them are looked at, and not all.

        Args:
            name: The queue.
            only: These tenants; None looks for some.
            most: Tenants to tell of.
        """
        tally = self._store.keys(name)["tally"]
        names = only
        if names is None:
            found = await self._store.run(looks.some_fields(tally, TALLY_LOOK))
            named = dict.fromkeys(field.partition("|")[2] for field in found)
            names = [tenant for tenant in named if is_tenant(tenant)]
        fields = [f"{state.value}|{tenant}" for tenant in names for state in State]
        counts = await self._store.run(looks.some_of(tally, fields)) if fields else {}
        told = [
            TenantCounts(
                tenant=tenant,
                jobs={state.value: counter(counts.get(f"{state.value}|{tenant}")) for state in State},
            )
            for tenant in names
        ]
        return sorted(told, key=lambda one: (-sum(one.jobs.values()), one.tenant))[:most]

    async def news(
        self, names: Sequence[str], since_ms: int | None = None, until_ms: int | None = None
    ) -> News:
        """What happened in some queues, so that who calls again with `until_ms` misses nothing and hears nothing twice.

        On a cluster the clocks of its servers differ, and what happened within that difference may be missed.

        Args:
            names: The queues.
            since_ms: The moment to begin at, included; None is now, and tells nothing.
            until_ms: The moment to end at, excluded, which must be over; None is now.
        """
        if until_ms is None:  # asked for first: what was written before it is there to be read
            until_ms = await self._store.run(calls.server_ms())
        if since_ms is None or since_ms >= until_ms:
            return News(until_ms=until_ms, queues={}, cut=[])
        reads = [looks.news(self._store.keys(name), since_ms, until_ms, NEWS_LIMIT) for name in names]
        answers = await self._store.run_many(reads)
        happened = {name: _summed(found) for name, found in zip(names, answers, strict=True) if found}
        cut = [name for name, found in zip(names, answers, strict=True) if len(found) == NEWS_LIMIT]
        return News(until_ms=until_ms, queues=happened, cut=cut)

    async def _whole(self, names: Sequence[str]) -> list[tuple[StateCounts, dict[str, bytes] | None]]:
        reads: list[Call[object]] = []
        for name in names:
            keys = self._store.keys(name)
            reads += (calls.counts(keys), looks.some_of(keys["stats"], ALL_TIME))  # type: ignore[arg-type]  # told apart by place
        answers = await self._store.run_many(reads)
        return list(zip(answers[::2], answers[1::2], strict=True))  # type: ignore[arg-type]  # as above

    async def _of_tenants(self, names: Sequence[str], tenants: Sequence[str]) -> list[StateCounts]:
        fields = [f"{state.value}|{tenant}" for state in State for tenant in tenants]
        reads: list[Call[dict[str, bytes]]] = []
        for name in names:
            keys = self._store.keys(name)
            reads += (looks.some_of(keys["tally"], fields), looks.some_of(keys["meta"], ("paused",)))
        answers = await self._store.run_many(reads)
        return [
            _tallied(tally, paused=meta.get("paused") == b"1")
            for tally, meta in zip(answers[::2], answers[1::2], strict=True)
        ]


def _tallied(tally: Mapping[str, bytes], *, paused: bool) -> StateCounts:
    sums = dict.fromkeys((state.value for state in State), 0)
    for field, count in tally.items():
        sums[field.partition("|")[0]] += counter(count)
    return StateCounts(**sums, paused=paused, oldest_ms=-1)


def _totals(found: Mapping[str, bytes]) -> Totals:
    def numbers(kind: str) -> dict[str, int]:
        return {bound: counter(found.get(f"{kind}:{bound}")) for bound in _BOUNDS}

    return Totals(
        counters={name: counter(found.get(name)) for name in COUNTERS},
        duration=numbers("duration"),
        wait=numbers("wait"),
    )


def _minute(minute: int, raw: bytes) -> Minute:
    """A slot of the ring; one that was written a day ago, or never, counts nothing."""
    slot = _SLOT.fullmatch(raw)
    if slot is None or int(slot[1]) != minute:
        return Minute(at=minute * 60_000)
    started, completed, failed, retried = map(int, slot.groups()[1:])
    return Minute(at=minute * 60_000, started=started, completed=completed, failed=failed, retried=retried)


def _summed(batches: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for batch in batches:
        for name, count in batch.items():
            total[name] = total.get(name, 0) + count
    return total
