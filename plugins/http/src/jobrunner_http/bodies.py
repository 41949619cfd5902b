"""What requests say and what answers hold, beside the core's own views: the wire's form, camelCase."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jobrunner.declaration import Declaration
from jobrunner.limits import HeldTenant, Limit
from jobrunner.model import MAX_PRIORITY, State
from jobrunner_http import patterns

MAX_JOBS = 1000
"""Jobs that one request enqueues, or names, at the most."""

MAX_LOOK = 10_000
"""Jobs that one request by filter looks at, at the most; it says where to go on."""

JobId = Annotated[str, Meta(min_length=1, max_length=128, pattern=patterns.JOB_ID)]
Payload = dict[str, object]
Cursor = Annotated[str, Meta(max_length=280, pattern=patterns.CURSOR)]
TenantName = Annotated[str, Meta(pattern=patterns.TENANT)]
Text = Annotated[str, Meta(max_length=500)]
Clearable = Literal["waiting", "delayed", "completed", "failed", "cancelled", "parked"]
"""The states whose jobs may be deleted: all but those that run."""

HeaderText = Annotated[str, Meta(max_length=1024, pattern=patterns.HEADER_TEXT)]


class NewJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of several jobs to enqueue. With an id it is idempotent: the same id and payload again is the same job."""

    payload: Payload
    id: JobId | UnsetType = UNSET


class Enqueue(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One job to enqueue (`payload`, `id`), or several (`jobs`); what else is said holds for all of them.

    `delay` is seconds and `at` a time with a zone before which the jobs do not start; `priority` is 0 to 100, higher
    first, the queue's own if left out; `headers` are put beside the payload.
    """

    payload: Payload | UnsetType = UNSET
    id: JobId | UnsetType = UNSET
    jobs: Annotated[list[NewJob], Meta(min_length=1, max_length=MAX_JOBS)] | UnsetType = UNSET
    delay: Annotated[float, Meta(ge=0, le=316_000_000)] | UnsetType = UNSET
    at: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=0, le=MAX_PRIORITY)] | UnsetType = UNSET
    headers: Annotated[dict[HeaderText, HeaderText], Meta(max_length=32)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.payload is UNSET) == (self.jobs is UNSET):
            raise ValueError("give either payload or jobs")
        if self.jobs is not UNSET and self.id is not UNSET:
            raise ValueError("with jobs, each job has its own id")
        if self.delay is not UNSET and self.at is not UNSET:
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
    """Which jobs of a queue to change: those of `ids`, or those of a state that a filter wants.

    The filter: the `state` of the change's own kinds, `tenant`, `cause`, `limit` and `after`.
    """

    ids: Annotated[list[JobId], Meta(min_length=1, max_length=MAX_JOBS)] | UnsetType = UNSET
    """These jobs, whatever their state; no filter goes with them."""
    tenant: TenantName | UnsetType = UNSET
    """Only this tenant's."""
    cause: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET
    """Only those whose last error has this fingerprint; `crash` where their worker was lost."""
    after: Cursor | UnsetType = UNSET
    """Where to go on: the `next` of the answer before."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LOOK)] | UnsetType = UNSET
    """How many jobs are looked at, at the most."""
    dry_run: bool = False
    """Count them, and leave them as they are."""
    reason: Text = ""
    """For people, where jobs are cancelled."""

    @property
    def wanted_state(self) -> State | None:
        """The state that the filter names; None where it names none."""
        named = getattr(self, "state", UNSET)
        return None if named is UNSET else State(named)

    def __post_init__(self) -> None:
        filtered = (getattr(self, "state", UNSET), self.tenant, self.cause, self.after, self.limit)
        if self.ids is not UNSET and any(one is not UNSET for one in filtered):
            raise ValueError("give either ids or a filter")


class RetryChoice(Choice, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which jobs to retry: failed ones unless the filter names another state."""

    state: Literal["failed", "cancelled", "parked"] | UnsetType = UNSET


class CancelChoice(Choice, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which jobs to cancel: those that wait unless the filter names another state; active ones are told to stop."""

    state: Literal["waiting", "delayed", "parked", "active"] | UnsetType = UNSET


class PromoteChoice(Choice, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which delayed jobs to let start now."""

    state: Literal["delayed"] | UnsetType = UNSET


class RemoveChoice(Choice, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which jobs to delete: failed ones unless the filter names another state."""

    state: Clearable | UnsetType = UNSET


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


class QueueState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whether a queue is paused, or one tenant in it."""

    name: str
    paused: bool
    tenant: str = ""


class Reason(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: Text = ""


Bound = Annotated[int, Meta(ge=0, le=10**9)]
Rate = Annotated[str, Meta(pattern=patterns.RATE)]

OF_THE_QUEUE = ("max_active_per_tenant", "rate_per_tenant", "max_waiting", "max_waiting_bytes")
OF_A_TENANT = ("weight",)


class LimitChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What an operator sets of a queue, or with `tenant` of one tenant in it, over what the plugin declares.

    A number of 0 and a rate of `0` bound nothing; null forgets what was set, and the declaration holds again. A rate is
    jobs/seconds, as `100/60`, or `100/60:10` with a burst of 10. `weight` is a tenant's share beside others of 1.
    """

    tenant: TenantName | UnsetType = UNSET
    max_active: Bound | UnsetType | None = UNSET
    max_active_per_tenant: Bound | UnsetType | None = UNSET
    rate: Rate | UnsetType | None = UNSET
    rate_per_tenant: Rate | UnsetType | None = UNSET
    weight: Annotated[float, Meta(ge=0.001, le=64)] | UnsetType | None = UNSET
    max_waiting: Bound | UnsetType | None = UNSET
    max_waiting_bytes: Annotated[int, Meta(ge=0, le=10**15)] | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        said = self.said
        if not said:
            raise ValueError("name a limit")
        spelt = dict(zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True))
        for name in said:
            if name in OF_THE_QUEUE and self.tenant is not UNSET:
                raise ValueError(f"{spelt[name]} is of the whole queue: leave tenant out")
            if name in OF_A_TENANT and self.tenant is UNSET:
                raise ValueError(f"{spelt[name]} is of one tenant: name it")

    @property
    def said(self) -> dict[str, float | str | None]:
        """The limits that are named, with what they become."""
        named = [name for name in self.__struct_fields__ if name != "tenant"]
        return {name: getattr(self, name) for name in named if getattr(self, name) is not UNSET}


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What bounds a queue and its tenants, and whose jobs are held for it."""

    limits: list[Limit]
    held: list[HeldTenant]


class QueueDetail(Declaration, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """A queue as it is declared, what operators set over that, and whose jobs are held."""

    limits: list[Limit]
    held: list[HeldTenant]


CHOICES = (RetryChoice, CancelChoice, PromoteChoice, RemoveChoice)


def body_schemas(template: str) -> dict[str, dict[str, object]]:
    """The JSON Schemas of the bodies, with what their own checks add.

    Args:
        template: How a reference is written, with `{name}`.
    """
    _, schemas = msgspec.json.schema_components(
        (Enqueue, *CHOICES, Reason, LimitChange), schema_hook=_anything, ref_template=template
    )
    either: list[dict[str, object]] = [{"required": ["payload"]}, {"required": ["jobs"]}]
    schemas["Enqueue"] |= {"oneOf": either, "allOf": [_not_both("jobs", "id"), _not_both("delay", "at")]}
    wholes = ("maxActivePerTenant", "ratePerTenant", "maxWaiting", "maxWaitingBytes")
    schemas["LimitChange"] |= {
        "anyOf": [{"required": [name]} for name in ("maxActive", "rate", "weight", *wholes)],
        "allOf": [_not_both("tenant", name) for name in wholes],
        "dependentRequired": {"weight": ["tenant"]},
    }
    for choice in CHOICES:
        schemas[choice.__name__]["allOf"] = [
            _not_both("ids", name) for name in ("state", "tenant", "cause", "after", "limit")
        ]
    return schemas


def _anything(_: type) -> dict[str, object]:
    """The schema of `object`; not empty, since msgspec takes an empty one for none."""
    return {"description": "any JSON value"}


def _not_both(one: str, other: str) -> dict[str, object]:
    return {"not": {"required": [one, other]}}
