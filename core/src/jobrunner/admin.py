"""What people do with queues and jobs: look, pause, clear, retry, cancel, remove, promote.

Every step is one bounded script or read. Nothing here ever touches a job that runs, but for asking it to stop.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence

import msgspec

from jobrunner.causes import CauseBook
from jobrunner.declaration import Declaration, declare
from jobrunner.errors import JobNotFoundError, UnknownQueueError
from jobrunner.fleet import WorkerReport
from jobrunner.gauges import Gauges
from jobrunner.health import assess
from jobrunner.limits import Limits
from jobrunner.listing import Listing
from jobrunner.model import State
from jobrunner.names import check_job_id, check_queue, is_queue
from jobrunner.plugins import Plugins
from jobrunner.queue import Queue
from jobrunner.record import UNREADABLE, Note, decode_record
from jobrunner.showing import job_view
from jobrunner.store import calls, looks
from jobrunner.store.calls import MAX_BY_HAND
from jobrunner.store.store import Store
from jobrunner.views import Health, JobSummary, JobView, QueueStats

ALIVE_MS = 20_000
"""Milliseconds since its last report for which a worker counts as alive: four reports."""

CLEAR_STEP = 500


class Admin:
    """People's side of a store.

    Args:
        store: The store.
        plugins: Those that are installed here; they say how payloads are masked.

    Attributes:
        gauges: Reads numbers.
        book: Groups failures by their causes.
        listing: Reads lists.
    """

    def __init__(self, store: Store, plugins: Plugins) -> None:
        self.store = store
        self.plugins = plugins
        self.limits = Limits(store)
        self.gauges = Gauges(store)
        self.listing = Listing(store)
        self.book = CauseBook(store)

    # ---- looking ---------------------------------------------------------------------------------------------

    async def declarations(self) -> dict[str, Declaration]:
        """Every queue that a worker has served or that a plugin here declares, by name."""
        from_store = await self.store.run(looks.hash_of(self.store.fleet.queues))
        found: dict[str, Declaration] = {}
        for name, raw in from_store.items():
            if not is_queue(name):
                continue  # nobody serves it, and nothing can be asked of it
            try:
                found[name] = msgspec.json.decode(raw, type=Declaration)
            except UNREADABLE:
                found[name] = Declaration(name=name)
        for name, queue in self.plugins.queues.items():
            owner = self.plugins.owner(name)
            found.setdefault(name, declare(queue, plugin=owner.name if owner else ""))
        return dict(sorted(found.items()))

    async def schema(self, queue: str) -> bytes | None:
        """The JSON Schema of a queue's payload as its workers registered it; None where they did not."""
        return await self.store.run(looks.schemas(self.store.fleet, check_queue(queue)))

    async def workers(self) -> list[tuple[WorkerReport, bool]]:
        """Every worker with whether it is alive, by id."""
        now_ms = await self.store.run(calls.server_ms())
        workers = []
        for raw in (await self.store.run(looks.hash_of(self.store.fleet.workers))).values():
            try:
                report = msgspec.json.decode(raw, type=WorkerReport)
            except UNREADABLE:
                continue
            workers.append((report, now_ms - report.seen_ms < ALIVE_MS))
        return sorted(workers, key=lambda one: one[0].id)

    async def stats(
        self, names: Sequence[str] | None = None, *, tenants: Sequence[str] | None = None
    ) -> list[QueueStats]:
        """The numbers of some queues, or of all, in a constant number of round trips.

        Args:
            names: The queues; None is all.
            tenants: Count only their jobs; None counts all.

        Raises:
            UnknownQueueError: Nobody knows one of them.
        """
        declared = await self.declarations()
        for name in names or ():
            self._known(name, declared)
        serving: dict[str, int] = {}
        for report, alive in await self.workers():
            for name in report.queues if alive else ():
                serving[name] = serving.get(name, 0) + 1
        wanted = list(declared) if names is None else names
        return await self.gauges.stats(wanted, declared, serving, tenants=tenants)

    async def health(
        self, names: Sequence[str] | None = None, *, tenants: Sequence[str] | None = None
    ) -> Health:
        """How the queues are; those and by those tenants' jobs as in `stats`."""
        return assess(await self.stats(names, tenants=tenants))

    async def job(self, queue: str, job_id: str, *, reveal: bool = False) -> JobView:
        """Everything that may be seen of one job.

        Args:
            queue: The queue.
            job_id: The job's id.
            reveal: Show a payload that is hidden whole, since no plugin here tells what is secret in it.

        Raises:
            JobNotFoundError: There is no such job.
        """
        view, _ = await self.job_and_logs(queue, job_id, reveal=reveal)
        return view

    async def logs(self, queue: str, job_id: str) -> list[dict[str, object]]:
        """The log lines that are kept with a job, oldest first.

        Raises:
            JobNotFoundError: There is no such job.
        """
        _, lines = await self.job_and_logs(queue, job_id)
        return lines

    async def job_and_logs(
        self, queue: str, job_id: str, *, reveal: bool = False
    ) -> tuple[JobView, list[dict[str, object]]]:
        """A job and its log lines, read together; as `job` and `logs`."""
        keys = self.store.keys(check_queue(queue))
        found = looks.found(await self.store.run_many(looks.job(keys, check_job_id(job_id))))
        if found.record is None:
            raise JobNotFoundError(f"there is no job {job_id} in {queue}; it may have ended and been trimmed")
        lines = []
        for line in (found.logs or b"").splitlines():
            try:
                lines.append(msgspec.json.decode(line, type=dict[str, object]))
            except UNREADABLE:
                continue
        held = ""
        if found.is_held:
            tenant = decode_record(found.record).tenant
            held = await self.limits.why_held(queue, tenant, await self.declared(queue))
        view = job_view(
            queue,
            job_id,
            found,
            self._installed(queue),
            keyring=self.plugins.keyring,
            reveal=reveal,
            held=held,
        )
        return view, lines

    async def place(self, queue: str, job_id: str) -> int | None:
        """How many jobs of its queue are in line before a job; None where it does not wait."""
        keys = self.store.keys(check_queue(queue))
        return await self.store.run(looks.place(keys, State.WAITING, check_job_id(job_id)))

    async def page(
        self, queue: str, state: State, *, start: int = 0, limit: int = 50, after: str = ""
    ) -> list[JobSummary]:
        """A page of a state's jobs: those that wait in the order they will run, the others newest first.

        Args:
            queue: The queue.
            state: The state.
            start: How many to skip.
            limit: 1 to 500.
            after: The cursor of the last job of the page before; a job that came or went meanwhile moves nothing.
                Where that job has gone itself, those of the same moment may be shown again, and none is left out.

        Raises:
            InvalidNameError: The cursor is not one.
        """
        found = await self.listing.page(queue, state, start=start, limit=limit, after=after)
        return await self.reasoned(queue, found.jobs) if state is State.PARKED else found.jobs

    async def reasoned(self, queue: str, jobs: Sequence[JobSummary]) -> list[JobSummary]:
        """Parked jobs of a page, those that are held for their tenants with the reason as it is now."""
        tenants = dict.fromkeys(job.tenant for job in jobs if _is_held(job))
        if not tenants:
            return list(jobs)
        declared = await self.declared(queue)
        why = {tenant: await self.limits.why_held(queue, tenant, declared) for tenant in tenants}
        return [
            msgspec.structs.replace(job, reason=why[job.tenant]) if _is_held(job) else job for job in jobs
        ]

    async def declared(self, queue: str) -> Declaration:
        """What workers, or a plugin here, declare of a queue; nothing but its name where nobody does."""
        return (await self.declarations()).get(queue) or Declaration(name=queue)

    # ---- moving jobs -----------------------------------------------------------------------------------------

    async def retry(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Put failed, cancelled or parked jobs in line again, their attempts forgiven; those that were moved."""
        moved: list[str] = []
        for state in (State.FAILED, State.CANCELLED, State.PARKED):
            moved += await self._moved(queue, state, ids, forgive=True)
        return moved

    async def promote(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Let delayed jobs start now; those that were moved."""
        return await self._moved(queue, State.DELAYED, ids, forgive=False)

    async def retry_all(self, queue: str, state: State) -> AsyncIterator[int]:
        """Put all jobs of a state in line again, a step at a time; how many each step moved."""
        left = (await self.store.run(calls.counts(self.store.keys(check_queue(queue))))).of(state)
        while left > 0:
            page = looks.page(self.store.keys(queue), state, start=0, limit=MAX_BY_HAND)
            entries = await self.store.run(page)
            ids = [job_id for job_id, _ in entries]  # as they are: one that nobody could name is moved too
            forgive = state is not State.DELAYED
            moved = await self.store.run(calls.retry(self.store.keys(queue), state, ids, forgive=forgive))
            if not moved:
                return
            left -= len(moved)
            yield len(moved)

    async def cancel(self, queue: str, ids: Sequence[str], reason: str = "") -> dict[str, str]:
        """Stop jobs; a verdict each: `cancelled`, `requested` (it runs, and is told), `ended` or `missing`."""
        keys = self.store.keys(check_queue(queue))
        verdicts: dict[str, str] = {}
        line = " ".join(reason.split())[:500] or "cancelled by hand"
        entry = msgspec.json.encode(Note(what="cancelled", reason=line))
        for part in _parts(ids):
            answer = await self.store.run(calls.cancel(keys, part, reason=line, entry=entry))
            verdicts |= dict(zip(part, answer, strict=True))
        return verdicts

    async def remove(self, queue: str, ids: Sequence[str]) -> list[str]:
        """Delete jobs that are not running, and all that is known of them; those that were removed."""
        removed: list[str] = []
        for part in _parts(ids):
            gone = await self.store.run(calls.remove(self.store.keys(check_queue(queue)), part))
            removed += gone
        return removed

    async def clear(self, queue: str, state: State) -> AsyncIterator[int]:
        """Delete the jobs that a state had when this began, a step at a time; how many each step deleted."""
        keys = self.store.keys(check_queue(queue))
        left = (await self.store.run(calls.counts(keys))).of(state)
        while left > 0:
            step = min(CLEAR_STEP, left)
            gone = await self.store.run(calls.trim(keys, state, keep=0, keep_ms=-1, limit=step))
            if not gone:
                return
            left -= gone
            yield gone

    async def pause(self, queue: str, tenant: str = "") -> None:
        """Let no further job of a queue start, or none of one tenant in it."""
        await self.limits.pause(queue, tenant)

    async def resume(self, queue: str, tenant: str = "") -> None:
        """Let a queue's jobs start again, or a tenant's, and wake a worker."""
        await self.limits.resume(queue, tenant)

    # ---- the tokens of the HTTP API --------------------------------------------------------------------------

    async def tokens(self) -> dict[str, bytes]:
        """What is kept of each token, by its id."""
        return await self.store.run(looks.hash_of(self.store.fleet.tokens))

    async def keep_token(self, token_id: str, kept: bytes) -> None:
        """Keep what is to be known of a token; that is its digest, never itself."""
        await self.store.run(calls.command("HSET", self.store.fleet.tokens, token_id, kept))

    async def drop_token(self, token_id: str) -> bool:
        """Forget a token; whether there was one of that id."""
        return await self.store.run(calls.command("HDEL", self.store.fleet.tokens, token_id)) == 1

    async def shared_secret(self, name: str) -> bytes:
        """Random bytes that all copies of a service share: made by the first one that asks for them."""
        field, fresh = f"!{name}", secrets.token_bytes(32)
        tokens = self.store.fleet.tokens
        await self.store.run(calls.command("HSETNX", tokens, field, fresh))
        return (await self.store.run(looks.some_of(tokens, [field]))).get(field, fresh)

    async def check_known(self, queue: str) -> None:
        """Refuse a queue that neither a plugin here nor a worker ever declared.

        Raises:
            UnknownQueueError: Nobody knows it.
        """
        if self.plugins.owner(check_queue(queue)) is None:
            self._known(queue, await self.declarations())

    async def _moved(self, queue: str, state: State, ids: Sequence[str], *, forgive: bool) -> list[str]:
        moved: list[str] = []
        for part in _parts(ids):
            call = calls.retry(self.store.keys(check_queue(queue)), state, part, forgive=forgive)
            step = await self.store.run(call)
            moved += step
        return moved

    def _installed(self, queue: str) -> Queue | None:
        owner = self.plugins.owner(queue)
        return owner.queues[queue] if owner else None

    @staticmethod
    def _known(queue: str, declared: dict[str, Declaration]) -> None:
        if check_queue(queue) not in declared:
            raise UnknownQueueError(f"there is no queue {queue!r} (known: {', '.join(declared) or 'none'})")


def _parts(ids: Sequence[str]) -> list[list[str]]:
    """Ids in parts that the scripts take, each checked and named once."""
    listed = list(dict.fromkeys(check_job_id(job_id) for job_id in ids))
    return [listed[start : start + MAX_BY_HAND] for start in range(0, len(listed), MAX_BY_HAND)]


def _is_held(job: JobSummary) -> bool:
    """Whether a parked job is held for its tenant: its place among the parked ones is minus its order."""
    return job.cursor.startswith("-")
