"""Why failed jobs failed, looked at a little at a time and remembered: many failures are told by their few causes.

A failed job's cause stays what it is until the job is retried, so none is read twice. Nothing here changes a job, and
what is remembered is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from time import monotonic

import msgspec

from jobrunner.model import State
from jobrunner.names import check_queue
from jobrunner.showing import moment_ms, told_error
from jobrunner.store import calls, looks
from jobrunner.store.answers import readable
from jobrunner.store.calls import MAX_HEADS
from jobrunner.store.looks import MAX_PAGE
from jobrunner.store.store import Store
from jobrunner.views import Cause, Causes

CAUSES_LOOK = 10_000
"""Failed jobs that are looked at for their causes: as many as a queue keeps unless it says otherwise."""

LOOK_S = 0.1
"""Seconds after which a look at failures ends where it is. With a traceback of some KB in each, 10,000 of them take most
of a second, and a page that asks again goes on from there."""

MAX_REMEMBERED = 100_000
"""Failures that are remembered, over all queues; of about 150 bytes each. Queues not asked for lately go first."""


class Told(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a failed job: when it failed, whose it is, and why."""

    at: float
    tenant: str
    cause: str


class CauseBook:
    """Groups failed jobs by their causes.

    Args:
        store: The store.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, dict[str, Told]] = {}

    async def causes(
        self, queue: str, *, tenants: Collection[str] | None = None, look: int = CAUSES_LOOK
    ) -> Causes:
        """Failed jobs by their causes, for the newest. It ends after about a tenth of a second, and says how far it came.

        Args:
            queue: The queue.
            tenants: Only their jobs; None is everybody's.
            look: Failed jobs to look at, 1 to 10,000, in steps of 500.
        """
        told = await self._look(check_queue(queue), min(look, CAUSES_LOOK))
        counted, newest = Counter[str](), dict[str, tuple[str, float]]()
        for job_id, one in told.items():
            if tenants is None or one.tenant in tenants:
                counted[one.cause] += 1
                newest.setdefault(one.cause, (job_id, one.at))
        looked = total = sum(counted.values())
        if tenants is None:
            total = max(total, (await self._store.run(calls.counts(self._store.keys(queue)))).failed)
        causes = await self._described(queue, counted, newest)
        return Causes(causes=causes, looked_at=looked, total=total)

    async def _look(self, queue: str, most: int) -> dict[str, Told]:
        """The newest failures of which the cause is known now, newest first."""
        deadline = self._clock() + LOOK_S
        keys = self._store.keys(queue)
        starts = range(0, most, MAX_PAGE)
        pages = await self._store.run_many(
            [looks.page(keys, State.FAILED, start=start, limit=MAX_PAGE) for start in starts]
        )
        entries = {job_id: score for page in pages for job_id, score in page}
        kept = self._known.pop(queue, {})
        known = {
            job_id: kept[job_id]
            for job_id, score in entries.items()
            if job_id in kept and kept[job_id].at == score
        }
        fresh = [job_id for job_id in entries if job_id not in known]
        for start in range(0, len(fresh), MAX_HEADS):
            part = fresh[start : start + MAX_HEADS]
            answers = await self._store.run(calls.causes(keys, part))
            known |= {
                job_id: Told(entries[job_id], tenant, cause)
                for job_id, (tenant, cause) in zip(part, answers, strict=True)
            }
            if self._clock() > deadline:
                break
        self._remember(queue, kept, known)
        return {job_id: known[job_id] for job_id in entries if job_id in known}

    def _remember(self, queue: str, kept: dict[str, Told], known: dict[str, Told]) -> None:
        """Keep what a shorter look than the one before did not ask for too, while there is room."""
        both = kept | known
        self._known[queue] = both if len(both) <= 2 * CAUSES_LOOK else known
        while len(self._known) > 1 and sum(map(len, self._known.values())) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    async def _described(
        self, queue: str, counted: Counter[str], newest: dict[str, tuple[str, float]]
    ) -> list[Cause]:
        """Each cause with the words of its newest failure; the most frequent 500."""
        ranked = counted.most_common(MAX_PAGE)
        told = await self._words(queue, [newest[cause][0] for cause, _ in ranked])
        causes = []
        for (cause, count), (error_type, message) in zip(ranked, told, strict=True):
            job_id, score = newest[cause]
            causes.append(
                Cause(
                    fingerprint=cause,
                    error_type=error_type,
                    message=message,
                    jobs=count,
                    latest_at=moment_ms(score),
                    example=readable(job_id),
                )
            )
        return causes

    async def _words(self, queue: str, ids: Sequence[str]) -> list[tuple[str, str]]:
        keys = self._store.keys(queue)
        parts = [ids[start : start + MAX_HEADS] for start in range(0, len(ids), MAX_HEADS)]
        answers = await self._store.run_many([calls.heads(keys, part) for part in parts])
        return [told_error(head.told) for part in answers for head in part]
