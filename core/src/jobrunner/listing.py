"""Lists of jobs: a page of a state, the jobs that a filter wants.

Every call looks at a bounded number of jobs and says where to go on. Nothing here changes a job.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner.errors import InvalidNameError
from jobrunner.model import State
from jobrunner.names import check_job_id, check_queue
from jobrunner.showing import job_summary
from jobrunner.store import calls, looks
from jobrunner.store.answers import Head, readable
from jobrunner.store.calls import MAX_HEADS
from jobrunner.store.looks import MAX_PAGE
from jobrunner.store.store import Store
from jobrunner.views import JobPage, JobSummary


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs of a state are wanted.

    Attributes:
        tenants: Only theirs; None is everybody's.
        cause: Only those whose last error has this fingerprint, or `crash`; empty is any.
    """

    tenants: frozenset[str] | None = None
    cause: str = ""

    @property
    def takes_all(self) -> bool:
        """Whether it leaves nothing out."""
        return self.tenants is None and not self.cause

    def takes(self, tenant: str, cause: str) -> bool:
        """Whether it wants a job."""
        return (self.tenants is None or tenant in self.tenants) and self.cause in ("", cause)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step through a list: the ids that are wanted, where to go on (empty at the end), how many were looked at."""

    ids: list[str]
    next: str
    looked_at: int


class Listing:
    """Reads lists.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self,
        queue: str,
        state: State,
        *,
        start: int = 0,
        limit: int = 50,
        after: str = "",
        wanted: Filter | None = None,
    ) -> JobPage:
        """A page of a state's jobs: those that wait in the order they will run, the others newest first.

        Args:
            queue: The queue.
            state: The state.
            start: How many to skip.
            limit: 1 to 500.
            after: The cursor that the page before gave; a job that came or went meanwhile moves nothing. Where the
                job of that cursor has gone itself, those of the same moment may be shown again, and none is left out.
            wanted: Which jobs; with a filter, 500 are looked at for a page, and it may be short.

        Raises:
            InvalidNameError: The cursor is not one.
        """
        wanted = wanted or Filter()
        look = limit if wanted.takes_all else MAX_PAGE
        entries = await self._entries(queue, state, start=start, limit=look, after=after)
        kept = set(await self._wanted(queue, [job_id for job_id, _ in entries], wanted))
        picked, looked = [], 0
        for entry in entries:
            looked += 1
            if entry[0] in kept:
                picked.append(entry)
            if len(picked) == limit:
                break
        heads = await self._heads(queue, [job_id for job_id, _ in picked])
        jobs = [
            _summary(job_id, state, score, head) for (job_id, score), head in zip(picked, heads, strict=True)
        ]
        if wanted.tenants is not None:  # an id may have become another tenant's job in between
            jobs = [job for job in jobs if job.tenant in wanted.tenants]
        more = looked < len(entries) or len(entries) == look
        return JobPage(jobs=jobs, next=_cursor(*entries[looked - 1]) if more else "", looked_at=looked)

    async def step(
        self, queue: str, state: State, wanted: Filter, *, after: str = "", limit: int = MAX_PAGE
    ) -> Step:
        """Look at the next jobs of a state and say which are wanted.

        Args:
            queue: The queue.
            state: The state.
            wanted: Which jobs.
            after: Where to go on.
            limit: How many to look at, 1 to 500.
        """
        entries = await self._entries(queue, state, start=0, limit=limit, after=after)
        ids = [job_id for job_id, _ in entries]
        kept = set(await self._wanted(queue, ids, wanted))
        end = _cursor(*entries[-1]) if len(entries) == limit else ""
        return Step(ids=[job_id for job_id in ids if job_id in kept], next=end, looked_at=len(ids))

    async def tenants(self, queue: str, ids: Sequence[str]) -> dict[str, str]:
        """The tenant of each job that is there, empty for one that has none."""
        heads = await self._heads(queue, [check_job_id(job_id) for job_id in ids])
        return {
            job_id: _summary(job_id, State.WAITING, 0, head).tenant
            for job_id, head in zip(ids, heads, strict=True)
            if head.record is not None
        }

    async def _wanted(self, queue: str, ids: Sequence[str], wanted: Filter) -> list[str]:
        if wanted.takes_all or not ids:
            return list(ids)
        told = await self._told(queue, ids)
        return [job_id for job_id, one in zip(ids, told, strict=True) if wanted.takes(*one)]

    async def _told(self, queue: str, ids: Sequence[str]) -> list[tuple[str, str]]:
        keys = self._store.keys(check_queue(queue))
        parts = await self._store.run_many([calls.causes(keys, part) for part in _parts(ids)])
        return [one for part in parts for one in part]

    async def _heads(self, queue: str, ids: Sequence[str]) -> list[Head]:
        keys = self._store.keys(check_queue(queue))
        parts = await self._store.run_many([calls.heads(keys, part) for part in _parts(ids)])
        return [one for part in parts for one in part]

    async def _entries(
        self, queue: str, state: State, *, start: int, limit: int, after: str
    ) -> list[tuple[str, float]]:
        keys = self._store.keys(check_queue(queue))
        if after:
            start += await self._after(queue, state, after)
        return await self._store.run(looks.page(keys, state, start=start, limit=limit))

    async def _after(self, queue: str, state: State, cursor: str) -> int:
        """How many entries of a list stand up to a cursor."""
        keys = self._store.keys(queue)
        text, _, job_id = cursor.partition(":")
        try:
            score = int(text)
            float(score)
        except (ValueError, OverflowError):
            raise InvalidNameError(f"{cursor!r:.100} is no cursor; each listed job has one") from None
        try:
            check_job_id(job_id)
        except InvalidNameError:  # of no job: its moment is all that it says
            return await self._store.run(looks.before(keys, state, score))
        stands_at = await self._store.run(calls.command("ZSCORE", keys.of(state), job_id))
        rank = await self._store.run(looks.place(keys, state, job_id))
        if isinstance(stands_at, bytes) and float(stands_at) == score and rank is not None:
            return rank + 1
        return await self._store.run(looks.before(keys, state, score))


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + MAX_HEADS] for start in range(0, len(ids), MAX_HEADS)]


def _cursor(job_id: str, score: float) -> str:
    return f"{score:.0f}:{readable(job_id)}"


def _summary(job_id: str, state: State, score: float, head: Head) -> JobSummary:
    record = None if head.record is None else head.record + b",0,null]"
    return job_summary(job_id, state, score, record, head.counts, head.told)
