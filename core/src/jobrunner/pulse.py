"""How fast the queues go: what two looks at the counters tell, for queues, workers and in all.

The arithmetic is pure. Nothing here waits between looks, and nothing is kept: who wants a rate brings the look before.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner.admin import Admin
from jobrunner.showing import worker_view
from jobrunner.store import calls
from jobrunner.views import QueueStats, WorkerView


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What there was to be seen at one moment; `at` is ms since 1970, by the store's clock."""

    at: int
    queues: list[QueueStats]
    workers: list[WorkerView]


class QueuePulse(QueueStats, frozen=True, kw_only=True, rename="camel"):
    """A queue's numbers, with what happened in it each second since the look before.

    A rate is null where there was no look before, where the queue is new, or where its counters began anew.
    """

    completed_per_second: float | None
    failed_per_second: float | None


class Sums(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The sums over the queues and the live workers that were looked at."""

    waiting: int
    delayed: int
    active: int
    completed: int
    failed: int
    cancelled: int
    parked: int
    completed_per_second: float | None
    failed_per_second: float | None
    oldest_waiting_ms: int
    """Age of the job that has been in line for longest; -1 where none waits."""
    workers: int
    """Those that are alive."""
    running: int
    """Handlers that they run."""
    slots: int
    """Handlers that they could run, by their queues' concurrency."""


class Pulse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A look, with the rates since the look before; `at` is ms since 1970, by the store's clock."""

    at: int
    seconds: float | None
    """Since the look before; null for the first."""
    queues: list[QueuePulse]
    workers: list[WorkerView]
    totals: Sums


async def look(admin: Admin, names: Sequence[str] | None = None) -> Look:
    """Look at some queues, or at all, and at the workers that serve them, in a constant number of round trips.

    Args:
        admin: People's side of the store.
        names: The queues; None is all.

    Raises:
        UnknownQueueError: Nobody knows one of them.
        StoreError: The store cannot be read.
    """
    workers = [worker_view(report, alive=alive) for report, alive in await admin.workers()]
    stats = await admin.stats(names)
    at = await admin.store.run(calls.server_ms())
    if names is not None:
        workers = [worker for worker in workers if set(names) & set(worker.queues)]
    return Look(at=at, queues=stats, workers=workers)


def pulse(before: Look | None, now: Look) -> Pulse:
    """What a look tells beside the one before it."""
    seconds = (now.at - before.at) / 1000 if before and now.at > before.at else None
    then = {stats.name: stats for stats in before.queues} if before else {}
    queues = [_queue(then.get(stats.name), stats, seconds) for stats in now.queues]
    return Pulse(
        at=now.at, seconds=seconds, queues=queues, workers=now.workers, totals=_totals(queues, now.workers)
    )


def rate(before: int | None, now: int | None, seconds: float | None) -> float | None:
    """How fast a counter rose; None where that cannot be known.

    Args:
        before: The counter as it was.
        now: The counter as it is; less than before where it began anew.
        seconds: The time between, over 0; None where nobody looked before.

    Returns:
        Counts a second, 0 or more.
    """
    if before is None or now is None or seconds is None or now < before:
        return None
    return round((now - before) / seconds, 3)


def _queue(then: QueueStats | None, now: QueueStats, seconds: float | None) -> QueuePulse:
    return QueuePulse(
        **msgspec.structs.asdict(now),
        completed_per_second=rate(then.completed_total if then else None, now.completed_total, seconds),
        failed_per_second=rate(then.failed_total if then else None, now.failed_total, seconds),
    )


def _totals(queues: Sequence[QueuePulse], workers: Sequence[WorkerView]) -> Sums:
    alive = [worker for worker in workers if worker.alive]
    return Sums(
        waiting=sum(one.waiting for one in queues),
        delayed=sum(one.delayed for one in queues),
        active=sum(one.active for one in queues),
        completed=sum(one.completed for one in queues),
        failed=sum(one.failed for one in queues),
        cancelled=sum(one.cancelled for one in queues),
        parked=sum(one.parked for one in queues),
        completed_per_second=_sum([one.completed_per_second for one in queues]),
        failed_per_second=_sum([one.failed_per_second for one in queues]),
        oldest_waiting_ms=max((one.oldest_waiting_ms or 0 for one in queues if one.waiting), default=-1),
        workers=len(alive),
        running=sum(worker.running for worker in alive),
        slots=sum(sum(worker.queues.values()) for worker in alive),
    )


def _sum(rates: Sequence[float | None]) -> float | None:
    """The sum of those that are known; None where none is."""
    known = [one for one in rates if one is not None]
    return round(sum(known), 3) if known else None
