"""What may be seen, by whom: every call is for a caller, and gives nothing that the caller may not know of.

What is not there and what the caller may not know of are the same error. Payloads are masked by the core's views.
"""

from __future__ import annotations

import msgspec

from jobrunner.admin import Admin
from jobrunner.causes import CAUSES_LOOK
from jobrunner.declaration import Declaration, payload_schema
from jobrunner.errors import JobNotFoundError, UnknownQueueError
from jobrunner.gauges import TenantCounts
from jobrunner.listing import Filter
from jobrunner.model import State
from jobrunner.names import check_tenant
from jobrunner.showing import worker_view
from jobrunner.views import (
    Causes,
    Health,
    JobPage,
    JobView,
    Minute,
    QueueStats,
    WorkerView,
)
from jobrunner_http.access import Caller
from jobrunner_http.bodies import QueueDetail, QueueLimits
from jobrunner_http.cursors import Cursors
from jobrunner_http.problems import ProblemError


class JobDetail(JobView, frozen=True, kw_only=True, rename="camel"):
    """Everything that may be seen of one job, its kept log lines and its place in line included."""

    logs: list[dict[str, object]]
    place: int | None = None
    """How many jobs are in line before it; null where it does not wait."""


class Looking:
    """Reads for callers.

    Args:
        admin: People's side of the store.
    """

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._cursors: Cursors | None = None

    # ---- queues ----------------------------------------------------------------------------------------------

    async def queues(self, caller: Caller) -> dict[str, Declaration]:
        """The queues that a caller may know of, by name."""
        declared = await self._admin.declarations()
        return {name: about for name, about in declared.items() if caller.sees_queue(name)}

    async def check_queue(self, caller: Caller, queue: str) -> None:
        """Refuse a queue that is not there for a caller.

        Raises:
            UnknownQueueError: Nobody knows it, or the caller may not.
        """
        if caller.sees_queue(queue):
            try:
                await self._admin.check_known(queue)
            except (UnknownQueueError, ValueError):
                pass
            else:
                return
        raise UnknownQueueError(f"there is no queue {queue!r:.80}")

    async def stats(self, caller: Caller, queue: str | None = None) -> list[QueueStats]:
        """The numbers of the queues that a caller may know of, or of one; of its own tenants' jobs only."""
        if queue is not None:
            await self.check_queue(caller, queue)
            return await self._admin.stats([queue], tenants=caller.tenants)
        names = list(await self.queues(caller))
        return await self._admin.stats(names, tenants=caller.tenants) if names else []

    async def health(self, caller: Caller) -> Health:
        """How the queues are that a caller may know of."""
        return await self._admin.health(list(await self.queues(caller)), tenants=caller.tenants)

    async def schema(self, caller: Caller, queue: str) -> dict[str, object]:
        """The JSON Schema of a queue's payload: the installed plugin's, else what its workers registered."""
        await self.check_queue(caller, queue)
        owner = self._admin.plugins.owner(queue)
        if owner is not None:
            return payload_schema(owner.queues[queue])
        raw = await self._admin.schema(queue)
        try:
            return msgspec.json.decode(raw or b"{}", type=dict[str, object])
        except msgspec.MsgspecError:
            return {}

    async def limits(self, caller: Caller, queue: str) -> QueueLimits:
        """What bounds a queue and its tenants, and whose jobs are held; of a caller's own tenants only."""
        await self.check_queue(caller, queue)
        declared = await self._admin.declared(queue)
        rows = await self._admin.limits.table(queue, declared)
        if caller.is_limited:
            rows = [row for row in rows if row.tenant and caller.sees_tenant(row.tenant)]
        held = await self._admin.limits.held(queue, declared, only=caller.tenants)
        return QueueLimits(limits=rows, held=held)

    async def detail(self, caller: Caller, queue: str) -> QueueDetail:
        """A queue as it is declared, with `limits`."""
        bounds = await self.limits(caller, queue)
        about = msgspec.structs.asdict(await self._admin.declared(queue))
        return QueueDetail(**about, limits=bounds.limits, held=bounds.held)

    async def minutes(self, caller: Caller, queue: str | None, last: int) -> dict[str, list[Minute]]:
        """What happened in the last minutes, by queue; of queues as a whole only.

        Raises:
            ProblemError: 403 for a caller that is held to some tenants: minutes are counted for all together.
        """
        self.check_unlimited(caller, "what happened by the minute is counted for all tenants together")
        if queue is not None:
            await self.check_queue(caller, queue)
        names = [queue] if queue is not None else list(await self.queues(caller))
        return await self._admin.gauges.minutes(names, last)

    async def workers(self, caller: Caller) -> list[WorkerView]:
        """The workers.

        Raises:
            ProblemError: 403 for a caller that is held to some tenants or queues: workers serve all together.
        """
        self.check_unlimited(caller, "workers serve all tenants together")
        found = [worker_view(report, alive=alive) for report, alive in await self._admin.workers()]
        if caller.queues is None:
            return found
        return [worker for worker in found if any(caller.sees_queue(name) for name in worker.queues)]

    # ---- jobs ------------------------------------------------------------------------------------------------

    async def jobs(
        self, caller: Caller, queue: str, state: State, *, limit: int = 50, after: str = "", tenant: str = ""
    ) -> JobPage:
        """A page of a state's jobs; it may be short, and says where to go on.

        Args:
            caller: Whoever asks.
            queue: The queue.
            state: The state.
            limit: 1 to 500.
            after: The `next` of the page before.
            tenant: Only this tenant's.
        """
        await self.check_queue(caller, queue)
        wanted = self.filter(caller, tenant=tenant)
        after = await self.opened(caller, after)
        page = await self._admin.listing.page(queue, state, limit=limit, after=after, wanted=wanted)
        if state is State.PARKED:
            page = msgspec.structs.replace(page, jobs=await self._admin.reasoned(queue, page.jobs))
        if not caller.is_limited:
            return page
        jobs = [
            msgspec.structs.replace(job, cursor=await self.sealed(caller, job.cursor)) for job in page.jobs
        ]
        # How many others' jobs were looked at, and which of them was the last, is not theirs to know.
        return JobPage(jobs=jobs, next=await self.sealed(caller, page.next), looked_at=len(jobs))

    async def job(self, caller: Caller, queue: str, job_id: str) -> JobDetail:
        """Everything that may be seen of one job.

        Raises:
            UnknownQueueError: There is no such queue for the caller.
            JobNotFoundError: There is no such job for the caller.
        """
        await self.check_queue(caller, queue)
        missing = JobNotFoundError(
            f"there is no job {job_id:.128} in {queue}; it may have ended and been trimmed"
        )
        try:
            view, logs = await self._admin.job_and_logs(queue, job_id)
        except (JobNotFoundError, ValueError):
            raise missing from None
        if not caller.sees_tenant(view.tenant):
            raise missing
        place = await self._admin.place(queue, job_id)
        place = None if caller.is_limited else place  # how many others wait is not theirs to know
        return JobDetail(**msgspec.structs.asdict(view), logs=logs, place=place)

    async def causes(self, caller: Caller, queue: str, *, look: int = CAUSES_LOOK) -> Causes:
        """Failed jobs by their causes; `look` as in `CauseBook.causes`."""
        await self.check_queue(caller, queue)
        return await self._admin.book.causes(queue, tenants=caller.tenants, look=look)

    async def tenants(self, caller: Caller, queue: str, *, most: int) -> list[TenantCounts]:
        """How many jobs tenants have in a queue, those with the most first; a caller's own only."""
        await self.check_queue(caller, queue)
        return await self._admin.gauges.tenants(queue, only=caller.tenants, most=most)

    async def own(self, caller: Caller, queue: str, ids: list[str]) -> list[str]:
        """Those of some jobs that are there for a caller, in their order."""
        tenants = await self._admin.listing.tenants(queue, ids)
        return [job_id for job_id in ids if job_id in tenants and caller.sees_tenant(tenants[job_id])]

    async def sealed(self, caller: Caller, cursor: str) -> str:
        """A cursor as a caller may see it."""
        return (await self._sealing()).seal(cursor, caller.token_id) if caller.is_limited else cursor

    async def opened(self, caller: Caller, cursor: str) -> str:
        """A cursor that a caller was given.

        Raises:
            InvalidNameError: It was not.
        """
        return (await self._sealing()).open(cursor, caller.token_id) if caller.is_limited else cursor

    async def _sealing(self) -> Cursors:
        if self._cursors is None:
            self._cursors = Cursors(await self._admin.shared_secret("cursors"))
        return self._cursors

    @staticmethod
    def filter(caller: Caller, *, tenant: str = "", cause: str = "") -> Filter:
        """The filter that holds a caller to its own jobs, and to what it asked for."""
        tenants = None if caller.tenants is None else frozenset(caller.tenants)
        if tenant:
            check_tenant(tenant)
            tenants = frozenset({tenant}) if caller.sees_tenant(tenant) else frozenset()
        return Filter(tenants=tenants, cause=cause)

    @staticmethod
    def check_unlimited(caller: Caller, why: str) -> None:
        """Refuse a caller that is held to some tenants.

        Raises:
            ProblemError: 403.
        """
        if caller.is_limited:
            raise ProblemError(403, f"a token that is held to some tenants may not do this: {why}")
