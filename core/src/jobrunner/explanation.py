"""Why a job stands where it stands, and what must happen for it to go on, in plain words and as data.

A bounded number of reads, however many jobs there are. Nothing here changes anything, and what is told may be over a
moment later. Payloads, results and unique keys are never told.
"""

from __future__ import annotations

from typing import Literal, assert_never

import msgspec

from jobrunner.admin import Admin
from jobrunner.declaration import Declaration
from jobrunner.errors import JobNotFoundError
from jobrunner.fleet import WorkerReport
from jobrunner.model import MAX_PRIORITY, State
from jobrunner.store import calls, looks
from jobrunner.store.keys import QueueKeys
from jobrunner.views import Happening, JobView
from jobrunner.wording import counted, span

BAND = 2**46
"""The width of a priority's band in the scores of the line, as in the scripts' part `order`."""

SAID = 300
"""Characters of an error's message that are told; `jobs show` has it whole."""

Standing = Literal[
    "waiting",
    "delayed",
    "active",
    "completed",
    "failed",
    "cancelled",
    "parked",
    "lost",
    "forgotten",
    "unknown",
]
"""A state; or `lost` (a record in no list), `forgotten` (ended and trimmed, its id still known), `unknown`."""


class Reason(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that keeps a job where it is, or says how it came there."""

    code: str
    """Its kind, for programs: `no_worker`, `queue_paused`, `backoff` ..."""
    text: str
    remedy: str = ""
    """What must happen for it to go on; empty where this is no hindrance."""
    at: int | None = None
    """ms since 1970, by the store's clock: the moment that it is about, where there is one."""


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a job stands where it stands."""

    id: str
    queue: str
    state: Standing
    tenant: str
    now: int
    """ms since 1970, by the store's clock: when this was so."""
    needs_somebody: bool
    """Whether it stands still until a person does something: starts a worker, resumes, retries."""
    reasons: list[Reason]
    """The first says where it stands; hindrances have a remedy."""
    ahead: int | None = None
    """While it waits: how many jobs are in line before it."""
    attempt: int = 0
    max_attempts: int = 0
    """0 where nobody declares the queue."""


BY_HAND = frozenset({"no_worker", "queue_paused", "tenant_paused", "failed", "cancelled", "parked", "lost"})
"""Reasons that only a person ends."""


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A job to explain, and where to look."""

    admin: Admin
    declared: Declaration
    job: JobView
    now: int
    place: int | None

    @property
    def keys(self) -> QueueKeys:
        return self.admin.store.keys(self.job.queue)

    @property
    def last(self) -> Happening | None:
        return self.job.history[-1] if self.job.history else None


async def explain(admin: Admin, queue: str, job_id: str) -> Explanation:
    """Say why a job stands where it stands.

    Args:
        admin: People's side of the store.
        queue: The queue.
        job_id: The job's id. A job that is not there is explained too.

    Raises:
        UnknownQueueError: Nobody knows the queue.
        InvalidNameError: No job can have that id.
        StoreError: The store cannot be read.
    """
    declared = await admin.declared(queue)
    now = await admin.store.run(calls.server_ms())
    try:
        job = await admin.job(queue, job_id)
    except JobNotFoundError:
        await admin.check_known(queue)
        return await _absent(admin, queue, job_id, now)
    place = await admin.place(queue, job_id) if job.state == State.WAITING else None
    case = _Case(admin=admin, declared=declared, job=job, now=now, place=place)
    reasons = await _reasons(case) + await _key(case)
    return Explanation(
        id=job_id,
        queue=queue,
        state=msgspec.convert(job.state, Standing),
        tenant=job.tenant,
        now=now,
        needs_somebody=any(reason.code in BY_HAND for reason in reasons),
        reasons=reasons,
        ahead=place,
        attempt=job.attempt,
        max_attempts=declared.max_attempts if declared.plugin else 0,
    )


async def _absent(admin: Admin, queue: str, job_id: str, now: int) -> Explanation:
    """A job without a record: one that was, or none."""
    until = await admin.store.run(looks.remembered_until(admin.store.keys(queue), job_id))
    if until is not None and until > now:
        text = "it ended and was trimmed since; only its id is remembered, so that it is not enqueued twice"
        remedy = f"its id can be used again in {span(int(until) - now)}"
        state: Standing = "forgotten"
        reasons = [Reason(code="trimmed", text=text, remedy=remedy, at=int(until))]
    else:
        text = "there is no such job: none was enqueued under this id, or it was removed, or ended and was trimmed a while ago"
        state, reasons = "unknown", [Reason(code="unknown", text=text)]
    return Explanation(
        id=job_id, queue=queue, state=state, tenant="", now=now, needs_somebody=False, reasons=reasons
    )


async def _reasons(case: _Case) -> list[Reason]:
    if case.job.state == "lost":
        text = "it has a record and is in no list, so nothing will ever run it"
        return [Reason(code="lost", text=text, remedy="`jobrunner doctor --fix` puts such jobs back in line")]
    state = State(case.job.state)
    match state:
        case State.WAITING:
            return [await _in_line(case), *await _hindrances(case, is_next=True)]
        case State.DELAYED:
            return [_delayed(case), *await _hindrances(case, is_next=False)]
        case State.ACTIVE:
            return await _running(case)
        case State.PARKED:
            return await _held_back(case)
        case State.COMPLETED | State.FAILED | State.CANCELLED:
            return [_ended(case, state)]
        case _:
            assert_never(state)


async def _in_line(case: _Case) -> Reason:
    """Its place in line; with how many of those before it have a higher priority."""
    job, admin = case.job, case.admin
    counts = await admin.store.run(calls.counts(case.keys))
    if case.place is None:
        return Reason(code="in_line", text="it stood in line a moment ago")
    line = (
        f"{counted(counts.waiting, 'job')} that {'waits' if counts.waiting == 1 else 'wait'} in {job.queue}"
    )
    first = f"; the first has waited for {span(counts.oldest_ms)}" if counts.oldest_ms >= 0 else ""
    band = (MAX_PRIORITY - job.priority) * BAND
    higher = min(case.place, await admin.store.run(looks.before(case.keys, State.WAITING, band)))
    over = (
        f"; {higher:,} of those before it {'has' if higher == 1 else 'have'} a higher priority"
        if higher
        else ""
    )
    return Reason(code="in_line", text=f"it is number {case.place + 1:,} in line of {line}{first}{over}")


async def _hindrances(case: _Case, *, is_next: bool) -> list[Reason]:
    """What would keep it from starting if its turn came now; for one that waits also that nothing does."""
    job, admin = case.job, case.admin
    bounds = await admin.limits.bounds_of_queue(job.queue, case.declared)
    if job.tenant:
        own = await admin.limits.bound_of_tenant(job.queue, job.tenant, case.declared)
        bounds += [own] if own else []
    found = [Reason(code=one.code, text=one.text, remedy=one.remedy, at=one.at_ms) for one in bounds]
    serving = await _serving(admin, job.queue)
    if not serving:
        return [*found, _no_worker(case)]
    if not is_next:
        return found
    slots = sum(report.queues[job.queue] for report in serving)
    active = (await admin.store.run(calls.counts(case.keys))).active
    serve = f"{counted(len(serving), 'worker')} {'serves' if len(serving) == 1 else 'serve'} the queue"
    if active >= slots:
        taken = "the one slot for it is" if slots == 1 else f"all {slots:,} slots for it are"
        text = f"{serve}, and {taken} taken"
        return [
            *found,
            Reason(code="slots_taken", text=text, remedy="the next starts when one of these ends"),
        ]
    free = f"{serve}, and {active:,} of its jobs {'runs' if active == 1 else 'run'} now in {counted(slots, 'slot')}"
    go = [] if found else [Reason(code="free", text=f"{free}; it starts as soon as a worker comes to it")]
    return found + go


async def _serving(admin: Admin, queue: str) -> list[WorkerReport]:
    """The live workers that take jobs of a queue."""
    return [
        report
        for report, is_alive in await admin.workers()
        if is_alive and not report.stopping and queue in report.queues
    ]


def _no_worker(case: _Case) -> Reason:
    plugin = f" --plugin {case.declared.plugin}" if case.declared.plugin else ""
    return Reason(
        code="no_worker",
        text="no live worker serves the queue",
        remedy=f"start one with `jobrunner run{plugin}`",
    )


def _delayed(case: _Case) -> Reason:
    """Until when, and why."""
    due = case.job.due_at or case.now
    left = due - case.now
    until = f"it is due in {span(left)}" if left > 0 else f"it has been due for {span(-left)}"
    code, why = _why_delayed(case)
    remedy = (
        f"it goes on by itself; `jobrunner jobs promote {case.job.queue} {case.job.id}` lets it start now"
        if left > 0
        else "a worker lines it up when it next comes to the queue"
    )
    return Reason(code=code, text=f"{until}: {why}", remedy=remedy, at=due)


def _why_delayed(case: _Case) -> tuple[str, str]:
    last = case.last
    if last is None:
        field = case.declared.schedule_field
        return (
            "scheduled",
            f"its producer asked for that time{f', or its field {field} did' if field else ''}",
        )
    match last.what:
        case "error":
            most = f" of {case.declared.max_attempts}" if case.declared.plugin else ""
            wait = f", and the backoff after it is {span(last.delay_ms)}"
            return "backoff", f"attempt {last.attempt}{most} ended in {_said(last)}{wait}"
        case "crash":
            return "crash", f"its worker {f'{last.worker} ' if last.worker else ''}was lost while it ran"
        case "snoozed":
            return (
                "snoozed",
                f"its handler put it off by {span(last.delay_ms)}{f': {_line(last.message)}' if last.message else ''}",
            )
        case _:
            return "scheduled", "its producer asked for that time"


async def _running(case: _Case) -> list[Reason]:
    """Which worker has it, with which lease."""
    job, worker = case.job, case.job.worker or "a worker"
    left = (job.lease_until or case.now) - case.now
    lease = f"its lease ends in {span(left)}" if left >= 0 else f"its lease ended {span(-left)} ago"
    reports = {report.id: is_alive for report, is_alive in await case.admin.workers()}
    if reports.get(job.worker):
        since = f", for {span(case.now - job.started_at)}" if job.started_at else ""
        told = (
            f"; it says {job.progress:.0%} {_line(job.progress_message)}".rstrip()
            if job.progress is not None
            else ""
        )
        text = f"it runs on {worker}, attempt {job.attempt}{since}; {lease} unless renewed{told}"
        reasons = [Reason(code="running", text=text, at=job.lease_until)]
    else:
        text = f"it was reserved by {worker}, which has not reported lately; {lease}"
        remedy = "then another worker of the queue takes it over, as a crash and not as an attempt"
        reasons = [Reason(code="worker_silent", text=text, remedy=remedy, at=job.lease_until)]
        reasons += [] if await _serving(case.admin, job.queue) else [_no_worker(case)]
    if job.cancel_reason:
        text = f"it was asked to stop: {_line(job.cancel_reason)}"
        reasons.append(Reason(code="asked_to_stop", text=text, remedy="its handler is told within seconds"))
    return reasons


async def _held_back(case: _Case) -> list[Reason]:
    """Held for its tenant, or parked for a reason of its own."""
    job, admin = case.job, case.admin
    score = await admin.store.run(calls.command("ZSCORE", case.keys.of(State.PARKED), job.id))
    if isinstance(score, bytes) and float(score) < 0:
        ahead = await admin.store.run(looks.held_before(case.keys, job.tenant, -int(float(score)), job.id))
        before = f", behind {counted(ahead, 'job')} of its own" if ahead else ""
        bound = await admin.limits.bound_of_tenant(job.queue, job.tenant, case.declared)
        if bound:
            text = f"it is held for its tenant{before}: {bound.text}"
            first = Reason(code=bound.code, text=text, remedy=bound.remedy, at=bound.at_ms)
        else:
            text = f"it is held for its tenant{before}: tenant {job.tenant} had come to a limit"
            first = Reason(code="tenant_turn", text=text, remedy="its turn comes again by itself")
        return [first, *(one for one in await _hindrances(case, is_next=False) if one.code != first.code)]
    text = f"it is held back: {_line(job.reason) or 'no reason is recorded'}"
    remedy = (
        "a worker that can read it lines it up; "
        f"or `jobrunner jobs retry {job.queue} {job.id}` puts it in line as it is"
    )
    return [Reason(code="parked", text=text, remedy=remedy)]


def _ended(case: _Case, state: State) -> Reason:
    job, last = case.job, case.last
    ago = f"{span(case.now - (job.ended_at or case.now))} ago"
    again = f"`jobrunner jobs retry {job.queue} {job.id}` puts it in line again, its attempts forgiven"
    if state is State.COMPLETED:
        return Reason(code="completed", text=f"it completed {ago}", at=job.ended_at)
    if state is State.CANCELLED:
        why = f": {_line(last.message)}" if last and last.message else ""
        return Reason(code="cancelled", text=f"it was cancelled {ago}{why}", remedy=again, at=job.ended_at)
    text = f"it failed {ago}{_gave_up(case, last) if last else ''}"
    return Reason(code="failed", text=text, remedy=again, at=job.ended_at)


def _gave_up(case: _Case, last: Happening) -> str:
    if last.what in ("crash", "buried"):
        return f": its worker was lost {counted(case.job.crashes, 'time')}, and it is not tried again"
    most = f" of {case.declared.max_attempts}" if case.declared.plugin else ""
    return f": attempt {last.attempt}{most} ended in {_said(last)}"


async def _key(case: _Case) -> list[Reason]:
    if State(case.job.state).ended if case.job.state != "lost" else True:
        return []
    if not await case.admin.store.run(looks.has_unique_key(case.keys, case.job.id)):
        return []
    text = "it has a unique key: until it ends, whoever enqueues another job of that key is given this one"
    return [Reason(code="unique_key", text=text)]


def _said(one: Happening) -> str:
    return f"{one.error_type}: {_line(one.message)}" if one.message else one.error_type


def _line(text: str) -> str:
    """Text from outside on one line, cut to what can be read at a glance."""
    line = " ".join(text.split())
    return line if len(line) <= SAID else line[:SAID] + " ..."
