"""What may be changed, by whom: every call is for a caller, touches only what is there for it, and leaves an audit line.

A job that the caller may not know of is missing to it. A job that runs is never removed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Literal, TypeVar, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from jobrunner.admin import Admin
from jobrunner.client import Client
from jobrunner.declaration import Declaration, declare
from jobrunner.drafting import Options
from jobrunner.handle import JobHandle
from jobrunner.model import RateLimit, State
from jobrunner.names import check_tenant, new_job_id
from jobrunner.store.looks import MAX_PAGE
from jobrunner_http.access import Caller
from jobrunner_http.bodies import (
    MAX_LOOK,
    Changed,
    ChangedJob,
    Choice,
    Cleared,
    Enqueue,
    EnqueuedJob,
    LimitChange,
    Payload,
)
from jobrunner_http.looking import Looking
from jobrunner_http.ownership import owned
from jobrunner_http.problems import FieldProblem, ProblemError, not_found
from jobrunner_http.trail import IDS_TOLD, HttpChanged, Trail

T = TypeVar("T")
Change = Literal["retry", "cancel", "promote", "remove"]

BULK_S = 5.0
"""Seconds after which a change by filter says where to go on."""

CLEAR_S = 20.0
"""Seconds after which a clear says that more is left."""

TOLD = {"retry": "retried", "cancel": "cancelled", "promote": "promoted", "remove": "removed"}

STATES: dict[Change, tuple[State, ...]] = {
    "retry": (State.FAILED, State.CANCELLED, State.PARKED),
    "promote": (State.DELAYED,),
    "cancel": (State.WAITING, State.DELAYED, State.PARKED, State.ACTIVE),
    "remove": (
        *(State.FAILED, State.COMPLETED, State.CANCELLED, State.WAITING, State.DELAYED, State.PARKED),
    ),
}
"""The states that a change is for; the first one where none is named."""


class Changing:
    """Changes for callers.

    Args:
        admin: People's side of the store.
        client: The producer.
        looking: What a caller may know of.
        trail: Where the audit goes.
    """

    def __init__(self, admin: Admin, client: Client, looking: Looking, trail: Trail) -> None:
        self._admin = admin
        self._client = client
        self._looking = looking
        self._trail = trail

    # ---- enqueueing ------------------------------------------------------------------------------------------

    async def enqueue(self, caller: Caller, queue: str, wanted: Enqueue) -> list[EnqueuedJob]:
        """Enqueue one job or several; all payloads are checked before the first goes in.

        Args:
            caller: Whoever asks; its tenant, where it has one, becomes the jobs'.
            queue: The queue.
            wanted: The jobs.
        """
        await self._looking.check_queue(caller, queue)
        about = await self._about(queue)
        if wanted.payload is not UNSET:
            payload, tenant = owned(caller, about, self._spelling(queue), wanted.payload)
            options = Options(
                delay=said(wanted.delay),
                at=said(wanted.at),
                priority=said(wanted.priority),
                job_id=said(wanted.id),
                tenant=tenant,
                headers=said(wanted.headers),
            )
            handles = [await self._client.enqueue_with(queue, payload, options)]
        else:
            handles = await self._enqueue_many(caller, about, wanted)
        self._tell(caller, "enqueued", queue, [handle.id for handle in handles])
        return [EnqueuedJob(id=handle.id, queue=queue, created=handle.created) for handle in handles]

    async def trial(self, caller: Caller, route: str, payload: Payload) -> EnqueuedJob:
        """Enqueue a job to the queue of a route, its payload as it is.

        Raises:
            ProblemError: 404 where no queue has that route for the caller.
        """
        queue = self._admin.plugins.routes.get(route)
        if queue is None or not caller.sees_queue(queue.name):
            known = [name for name, one in self._admin.plugins.routes.items() if caller.sees_queue(one.name)]
            raise not_found(f"no queue has this route (there are: {', '.join(sorted(known)) or 'none'})")
        (job,) = await self.enqueue(caller, queue.name, Enqueue(payload=payload))
        return job

    async def _enqueue_many(self, caller: Caller, about: Declaration, wanted: Enqueue) -> list[JobHandle]:
        jobs = [] if wanted.jobs is UNSET else wanted.jobs
        spelling = self._spelling(about.name)
        drawn = [owned(caller, about, spelling, job.payload) for job in jobs]
        tenants = {tenant for _, tenant in drawn}
        if len(tenants) > 1 and not about.tenant_field:
            raise ProblemError(422, "the jobs of one request are one tenant's; x-tenant-id says whose")
        return await self._client.enqueue_many(
            about.name,
            [payload for payload, _ in drawn],
            delay=said(wanted.delay),
            at=said(wanted.at),
            priority=said(wanted.priority),
            job_ids=[job.id or new_job_id() for job in jobs] if any(job.id for job in jobs) else None,
            tenant=tenants.pop() if len(tenants) == 1 else None,
            headers=said(wanted.headers),
        )

    async def _about(self, queue: str) -> Declaration:
        owner = self._admin.plugins.owner(queue)
        if owner is not None:
            return declare(owner.queues[queue])
        return (await self._admin.declarations())[queue]

    def _spelling(self, queue: str) -> str:
        """The payload's tenant field as Python spells it, where that is known."""
        owner = self._admin.plugins.owner(queue)
        return owner.queues[queue].tenant_field if owner else ""

    # ---- one job ---------------------------------------------------------------------------------------------

    async def change_job(
        self, caller: Caller, queue: str, job_id: str, what: Change, *, reason: str = ""
    ) -> ChangedJob:
        """Retry, cancel, promote or remove one job.

        Raises:
            JobNotFoundError: There is no such job for the caller.
            ProblemError: 409 where the job's state does not allow it.
        """
        await self._looking.job(caller, queue, job_id)
        verdicts = await self._apply(queue, what, [job_id], reason=reason)
        if job_id not in verdicts:
            raise await self._refused(caller, queue, job_id, what)
        self._tell(caller, TOLD[what], queue, [job_id], note=reason)
        return ChangedJob(id=job_id, queue=queue, result=verdicts[job_id])

    async def _refused(self, caller: Caller, queue: str, job_id: str, what: Change) -> ProblemError:
        """Why a job was not changed, as it is now: somebody else may have changed it since it was looked at."""
        state = (await self._looking.job(caller, queue, job_id)).state
        if state in STATES[what]:
            return ProblemError(409, "somebody else changed the job meanwhile; look at it again")
        allowed = ", ".join(one.value for one in STATES[what])
        return ProblemError(409, f"the job is {state}; {what} is for jobs that are {allowed}")

    # ---- many jobs -------------------------------------------------------------------------------------------

    async def change(self, caller: Caller, queue: str, what: Change, choice: Choice) -> Changed:
        """Retry, cancel, promote or remove the jobs that a filter wants, or those of some ids.

        It looks at a bounded number of jobs, changes them a step at a time, and says where to go on.
        """
        await self._looking.check_queue(caller, queue)
        if choice.ids is not UNSET:
            ids = await self._looking.own(caller, queue, list(dict.fromkeys(choice.ids)))
            changed = [] if choice.dry_run else await self._changed(queue, what, ids, choice)
            done = Changed(
                matched=len(ids), changed=len(changed), looked_at=len(choice.ids), dry_run=choice.dry_run
            )
        else:
            done, changed = await self._by_filter(caller, queue, what, choice)
        if changed:
            chosen = {
                name: str(value)
                for name, value in (
                    ("state", choice.wanted_state),
                    ("tenant", choice.tenant),
                    ("cause", choice.cause),
                )
                if value
            }
            note = " ".join([*(f"{name}={value}" for name, value in chosen.items()), choice.reason]).strip()
            self._tell(caller, TOLD[what], queue, changed, note=note)
        return done

    async def _by_filter(
        self, caller: Caller, queue: str, what: Change, choice: Choice
    ) -> tuple[Changed, list[str]]:
        state = choice.wanted_state or STATES[what][0]
        if state not in STATES[what]:
            allowed = ", ".join(one.value for one in STATES[what])
            raise ProblemError(422, f"{what} is for jobs that are {allowed}, not {state.value}")
        wanted = self._looking.filter(
            caller, tenant=said(choice.tenant) or "", cause=said(choice.cause) or ""
        )
        limit = said(choice.limit) or MAX_LOOK
        begun, looked, matched = time.monotonic(), 0, 0
        after = await self._looking.opened(caller, said(choice.after) or "")
        changed: list[str] = []
        while True:
            step = await self._admin.listing.step(
                queue, state, wanted, after=after, limit=min(MAX_PAGE, limit - looked)
            )
            looked += step.looked_at
            matched += len(step.ids)
            if not choice.dry_run:
                changed += await self._changed(queue, what, step.ids, choice)
            after = step.next
            if not after or looked >= limit or time.monotonic() - begun > BULK_S:
                break
        done = Changed(
            matched=matched, changed=len(changed), looked_at=looked, next=after, dry_run=choice.dry_run
        )
        if caller.is_limited:  # how many others' jobs there are is not theirs to know
            done = msgspec.structs.replace(
                done, looked_at=matched, next=await self._looking.sealed(caller, after)
            )
        return done, changed

    async def _changed(self, queue: str, what: Change, ids: Sequence[str], choice: Choice) -> list[str]:
        return list(await self._apply(queue, what, ids, reason=choice.reason)) if ids else []

    async def _apply(
        self, queue: str, what: Change, ids: Sequence[str], *, reason: str = ""
    ) -> dict[str, str]:
        """The jobs that were changed, each with what it is now."""
        match what:
            case "retry":
                return dict.fromkeys(await self._admin.retry(queue, ids), "retried")
            case "promote":
                return dict.fromkeys(await self._admin.promote(queue, ids), "promoted")
            case "remove":
                return dict.fromkeys(await self._admin.remove(queue, ids), "removed")
            case "cancel":
                verdicts = await self._admin.cancel(queue, ids, reason or "cancelled by hand")
                return {one: told for one, told in verdicts.items() if told in ("cancelled", "requested")}
            case _:
                assert_never(what)

    # ---- a queue ---------------------------------------------------------------------------------------------

    async def clear(self, caller: Caller, queue: str, state: State | None = None) -> Cleared:
        """Delete the jobs of a state, or of all states but those that run; a caller's own only.

        Raises:
            ProblemError: 422 for jobs that run.
        """
        await self._looking.check_queue(caller, queue)
        if state is State.ACTIVE:
            raise ProblemError(422, "jobs that run are never cleared; cancel them")
        states = [one for one in State if one is not State.ACTIVE] if state is None else [state]
        deadline = time.monotonic() + CLEAR_S
        cleared, complete = 0, True
        for one in states:
            steps = (
                self._remove_own(caller, queue, one) if caller.is_limited else self._admin.clear(queue, one)
            )
            async for gone in steps:
                cleared += gone
                if time.monotonic() > deadline:
                    complete = False
                    break
        self._tell(caller, "cleared", queue, jobs=cleared, note=state or "")
        return Cleared(cleared=cleared, complete=complete)

    async def _remove_own(self, caller: Caller, queue: str, state: State) -> AsyncIterator[int]:
        """Delete a caller's own jobs of a state, a step at a time; how many each step deleted."""
        wanted, after = self._looking.filter(caller), ""
        while True:
            step = await self._admin.listing.step(queue, state, wanted, after=after)
            yield len(await self._admin.remove(queue, step.ids)) if step.ids else 0
            if not step.next:
                return
            after = step.next

    async def pause(self, caller: Caller, queue: str, tenant: str = "") -> None:
        """Let no further job of a queue start, or none of one tenant in it; a caller's own tenants only."""
        await self._check_pausing(caller, queue, tenant)
        await self._admin.pause(queue, tenant)
        self._tell(caller, "paused", queue, note=f"tenant={tenant}" if tenant else "")

    async def resume(self, caller: Caller, queue: str, tenant: str = "") -> None:
        """Let a queue's jobs start again, or one tenant's; as `pause`."""
        await self._check_pausing(caller, queue, tenant)
        await self._admin.resume(queue, tenant)
        self._tell(caller, "resumed", queue, note=f"tenant={tenant}" if tenant else "")

    async def _check_pausing(self, caller: Caller, queue: str, tenant: str) -> None:
        await self._looking.check_queue(caller, queue)
        if not tenant:
            self._looking.check_unlimited(caller, "a queue is paused for all tenants")
        elif not caller.sees_tenant(check_tenant(tenant)):
            raise ProblemError(403, "the token is not for this tenant")

    async def limit(self, caller: Caller, queue: str, wanted: LimitChange) -> None:
        """Set or forget limits of a queue, or of one tenant in it; at once, over all workers.

        Raises:
            ProblemError: 403 for a caller that is held to some tenants, 422 for a rate that is none.
        """
        await self._looking.check_queue(caller, queue)
        self._looking.check_unlimited(caller, "limits are between the tenants")
        tenant = said(wanted.tenant)
        await self._admin.limits.set(
            queue,
            {f"{name}:{tenant}" if tenant else name: stored(name, to) for name, to in wanted.said.items()},
        )
        told = [f"{name}={'as declared' if to is None else to}" for name, to in wanted.said.items()]
        self._tell(
            caller, "limited", queue, note=" ".join([f"tenant={tenant}" if tenant else "", *told]).strip()
        )

    def logged(self, caller: Caller, address: str, what: Literal["logged_in", "logged_out"]) -> None:
        """Note that somebody logged in or out."""
        self._tell(msgspec.structs.replace(caller, address=address), what, "")

    def _tell(
        self,
        caller: Caller,
        what: str,
        queue: str,
        ids: Sequence[str] = (),
        *,
        jobs: int | None = None,
        note: str = "",
    ) -> None:
        self._trail.tell(
            HttpChanged(
                timestamp=time.time(),
                what=what,
                who=caller.name,
                token_id=caller.token_id,
                role=caller.role.label,
                address=caller.address,
                queue=queue,
                jobs=len(ids) if jobs is None else jobs,
                job_ids=tuple(ids[:IDS_TOLD]),
                tenants=caller.tenants or (),
                note=note,
            )
        )


def said(value: T | UnsetType) -> T | None:
    """What a request says; None where it does not."""
    return None if isinstance(value, UnsetType) else value


def stored(name: str, value: float | str | None) -> object:
    """A limit as the store takes it; an empty one is forgotten.

    Raises:
        ProblemError: 422 for a rate that is none.
    """
    if value is None:
        return ""
    if not name.startswith("rate") or value == "0":
        return value
    try:
        return RateLimit.parse(str(value)).stored
    except ValueError as error:
        field = "ratePerTenant" if name != "rate" else name
        problem = str(error).removeprefix("RateLimit: ")
        wrong = [FieldProblem(field=field, problem=problem)]
        raise ProblemError(422, f"{field}: {problem}", errors=wrong) from None
