"""What requests say and what answers hold, beside the core's own views: the wire's form, camelCase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner.model import MAX_PRIORITY, State

MAX_JOBS = 1000
"""Jobs that one request enqueues, or names, at the most."""

MAX_LOOK = 10_000
"""Jobs that one request by filter looks at, at the most; it says where to go on."""

JobId = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Payload = dict[str, object]


class NewJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of several jobs to enqueue."""

    payload: Payload
    id: JobId | None = None
    """Makes it idempotent: the same id and payload again is the same job."""


class Enqueue(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One job to enqueue (`payload`, `id`), or several (`jobs`); what else is said holds for all of them."""

    payload: Payload | None = None
    id: JobId | None = None
    jobs: Annotated[list[NewJob], Meta(min_length=1, max_length=MAX_JOBS)] | None = None
    delay: Annotated[float, Meta(ge=0, le=316_000_000)] | None = None
    """Seconds before it may start."""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    """A time with a zone before which it does not start."""
    priority: Annotated[int, Meta(ge=0, le=MAX_PRIORITY)] | None = None
    """0 to 100, higher first; the queue's own if left out."""
    headers: dict[str, str] | None = None
    """Put beside the payload."""

    def __post_init__(self) -> None:
        if (self.payload is None) == (self.jobs is None):
            raise ValueError("give either payload or jobs")
        if self.jobs is not None and self.id is not None:
            raise ValueError("with jobs, each job has its own id")
        if self.delay is not None and self.at is not None:
            raise ValueError("give either delay or at")


class EnqueuedJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that is in its queue now."""

    id: str
    queue: str
    created: bool
    """False where a job of that id was there before, with the same payload."""


class Enqueued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Jobs that are in their queue now, in the order of the request."""

    jobs: list[EnqueuedJob]


class Choice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which jobs of a queue to change: those of `ids`, or those of a state that a filter wants."""

    ids: Annotated[list[JobId], Meta(min_length=1, max_length=MAX_JOBS)] | None = None
    state: State | None = None
    tenant: Annotated[str, Meta(max_length=128)] = ""
    """Only this tenant's."""
    cause: Annotated[str, Meta(max_length=128)] = ""
    """Only those whose last error has this fingerprint; `crash` where their worker was lost."""
    dry_run: bool = False
    """Say how many there are, and change none."""
    after: Annotated[str, Meta(max_length=160)] = ""
    """The `next` of the answer before."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LOOK)] = MAX_LOOK
    """Jobs to look at."""
    reason: Annotated[str, Meta(max_length=500)] = ""
    """For people, where jobs are cancelled."""

    def __post_init__(self) -> None:
        if self.ids is not None and (self.state or self.tenant or self.cause or self.after):
            raise ValueError("give either ids or a filter")


class Changed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a change by filter or by ids."""

    matched: int
    """Jobs that were wanted."""
    changed: int
    """Jobs that were changed; none in a dry run, and fewer than wanted where some moved meanwhile."""
    looked_at: int
    next: str = ""
    """Where to go on; empty where everything was looked at."""
    dry_run: bool = False


class ChangedJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that was changed by its id."""

    id: str
    queue: str
    result: str
    """`retried`, `promoted`, `cancelled`, or `requested`: it runs, and is told to stop."""


class Cleared(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many jobs were deleted."""

    cleared: int
    complete: bool = True
    """False where more are left than one request deletes: ask again."""


class QueueState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a queue is paused."""

    name: str
    paused: bool


class Reason(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: Annotated[str, Meta(max_length=500)] = ""
