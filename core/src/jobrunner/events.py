"""Everything that jobrunner says about itself: one frozen record an event, told after it is stored.

Log lines, the `jobrunner_event` hook, the reference page and the JSON Schema are all made from these types. An
event never carries a payload, and no text in it is trusted to be free of line breaks: writers escape it.
"""

from __future__ import annotations

import typing
from typing import Annotated, ClassVar

import msgspec

Ms = Annotated[int, msgspec.Meta(ge=0)]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """The base of all events."""

    level: ClassVar[str] = "info"

    timestamp: float
    """Seconds since 1970, UTC, by the clock of the process that tells it."""


class JobEvent(Event, frozen=True, kw_only=True):
    """The base of what happens to one job."""

    queue: str
    plugin: str = ""
    """The plugin that declares the queue; empty where it is not installed."""
    job_id: str
    tenant: str = ""
    attempt: int = 0
    """The attempt's number, from 1: the handler's errors so far + 1; 0 where there was none."""
    worker_id: str = ""
    """The worker that told it; empty for a producer."""
    trace_id: str | msgspec.UnsetType = msgspec.UNSET
    """The trace that the job's producer was in, as 32 hexadecimal digits; not there where it was in none."""


class JobEnqueued(JobEvent, frozen=True, kw_only=True, tag="job.enqueued"):
    """A producer enqueued a job."""

    level = "debug"
    priority: int = 0
    delay_ms: Ms = 0
    """Milliseconds until it may start."""
    created: bool = True
    """False where a job of that id was there already, with the same payload."""


class JobStarted(JobEvent, frozen=True, kw_only=True, tag="job.started"):
    """A worker began an attempt."""

    level = "debug"
    run: int
    """The fencing number: every run of the job has a higher one."""
    wait_ms: Ms = 0
    """Milliseconds since the job was enqueued, or since it was due."""


class JobCompleted(JobEvent, frozen=True, kw_only=True, tag="job.completed"):
    """The handler returned, and the store took it."""

    duration_ms: Ms
    wait_ms: Ms = 0


class JobRetried(JobEvent, frozen=True, kw_only=True, tag="job.retried"):
    """An attempt failed, and another one follows."""

    level = "warning"
    duration_ms: Ms
    delay_ms: Ms
    """Milliseconds until the next attempt may start."""
    error_type: str
    error: str
    fingerprint: str
    """Stands for the cause: the same for errors of one type raised at one place."""
    traceback: str = ""


class JobSnoozed(JobEvent, frozen=True, kw_only=True, tag="job.snoozed"):
    """The handler asked to run later, without spending an attempt."""

    duration_ms: Ms
    delay_ms: Ms
    reason: str = ""


class JobFailed(JobEvent, frozen=True, kw_only=True, tag="job.failed"):
    """The job was given up and is kept for people to look at."""

    level = "error"
    duration_ms: Ms
    error_type: str
    error: str
    fingerprint: str
    traceback: str = ""


class JobCancelled(JobEvent, frozen=True, kw_only=True, tag="job.cancelled"):
    """The job was cancelled: while it waited, or its handler stopped for it."""

    duration_ms: Ms = 0
    reason: str = ""


class JobReleased(JobEvent, frozen=True, kw_only=True, tag="job.released"):
    """The worker stopped and gave the job back, uncharged."""

    duration_ms: Ms = 0


class JobParked(JobEvent, frozen=True, kw_only=True, tag="job.parked"):
    """The job is held back until a worker that can run it comes: an unknown payload version or key."""

    level = "warning"
    reason: str


class JobLeaseLost(JobEvent, frozen=True, kw_only=True, tag="job.lease_lost"):
    """The attempt's lease ran out under it: whatever it still writes is refused, and another run may be under way."""

    level = "warning"
    duration_ms: Ms = 0


class JobRecovered(JobEvent, frozen=True, kw_only=True, tag="job.recovered"):
    """A job whose worker was lost is in line again."""

    level = "warning"


class JobBuried(JobEvent, frozen=True, kw_only=True, tag="job.buried"):
    """A job lost its worker once too often and was failed for it."""

    level = "error"


class WorkerStarted(Event, frozen=True, kw_only=True, tag="worker.started"):
    """A worker is ready to take jobs."""

    worker_id: str
    version: str
    store: str
    """The store's address, without its password."""
    server: str
    """What the store says it is, such as `valkey 9.0.1`."""
    queues: dict[str, int]
    """Each queue that it serves, with its concurrency."""
    plugins: dict[str, str]
    """Each plugin that it loaded, with its distribution and version."""
    concurrency: int | None = None
    """Jobs at once over all queues, where that is bounded."""
    grace_s: float = 25.0
    """Seconds that running jobs get at a stop."""
    log_sample: float = 1.0
    """The share of jobs whose routine lines are written; 1 is all."""
    settings: dict[str, str] = {}
    """Every setting of the core and of its plugins that is not at its default, by variable; secret ones are `***`."""


class WorkerStopping(Event, frozen=True, kw_only=True, tag="worker.stopping"):
    """The worker takes no more jobs and lets those that run finish."""

    worker_id: str
    reason: str
    running: int
    grace_s: float


class WorkerStopped(Event, frozen=True, kw_only=True, tag="worker.stopped"):
    """The worker's last line."""

    worker_id: str
    completed: int
    failed: int
    released: int
    uptime_s: float


class WorkerStoreLost(Event, frozen=True, kw_only=True, tag="worker.store_lost"):
    """The store does not answer. Running jobs go on; the worker tries again until it does."""

    level = "error"
    worker_id: str
    duty: str
    error_type: str
    error: str


class WorkerStoreRecovered(Event, frozen=True, kw_only=True, tag="worker.store_recovered"):
    """The store answers again."""

    worker_id: str
    duty: str
    outage_ms: Ms


class WorkerLoopBlocked(Event, frozen=True, kw_only=True, tag="worker.loop_blocked"):
    """A handler holds the event loop: nothing else in this worker moves. Its leases are still renewed."""

    level = "warning"
    worker_id: str
    blocked_ms: Ms
    stack: str
    """Where the loop's thread stands."""
    queue: str = ""
    """The queue of the handler that stands in the stack, if one does."""


class WorkerDutyRestarted(Event, frozen=True, kw_only=True, tag="worker.duty_restarted"):
    """A loop of the worker ended by an error of its own and was started again."""

    level = "error"
    worker_id: str
    duty: str
    error_type: str
    error: str
    traceback: str = ""


class WorkerHandlerAbandoned(Event, frozen=True, kw_only=True, tag="worker.handler_abandoned"):
    """A handler did not end when it was told to, and is left behind; its slot is used again."""

    level = "error"
    worker_id: str
    queue: str
    job_id: str
    abandoned: int
    """Handlers of this queue that are left behind and still run."""


class WorkerRestarted(Event, frozen=True, kw_only=True, tag="worker.restarted"):
    """The supervisor replaced a worker process that had ended."""

    level = "error"
    index: int
    exit_status: int
    """As the system gave it; minus the signal's number for one that was killed."""
    delay_ms: Ms


class ObserverFailed(Event, frozen=True, kw_only=True, tag="observer.failed"):
    """A plugin's `jobrunner_event` raised. The job's outcome is not touched."""

    level = "error"
    plugin: str
    about: str
    """The event that it was told of."""
    error_type: str
    error: str
    traceback: str = ""


class ObserverSlow(Event, frozen=True, kw_only=True, tag="observer.slow"):
    """A plugin's `jobrunner_event` held the event loop."""

    level = "warning"
    plugin: str
    about: str
    duration_ms: Ms


class QueueChanged(Event, frozen=True, kw_only=True, tag="queue.changed"):
    """Somebody paused, resumed or cleared a queue, or moved jobs of it by hand."""

    queue: str
    what: str
    """`paused`, `resumed`, `cleared`, `retried`, `promoted`, `cancelled` or `removed`."""
    jobs: int = 0


AnyEvent = (
    JobEnqueued
    | JobStarted
    | JobCompleted
    | JobRetried
    | JobSnoozed
    | JobFailed
    | JobCancelled
    | JobReleased
    | JobParked
    | JobLeaseLost
    | JobRecovered
    | JobBuried
    | WorkerStarted
    | WorkerStopping
    | WorkerStopped
    | WorkerStoreLost
    | WorkerStoreRecovered
    | WorkerLoopBlocked
    | WorkerDutyRestarted
    | WorkerHandlerAbandoned
    | WorkerRestarted
    | ObserverFailed
    | ObserverSlow
    | QueueChanged
)
EVENTS: tuple[type[Event], ...] = typing.get_args(AnyEvent)
"""Every event type, in the order of the reference."""


def event_name(kind: type[Event]) -> str:
    """The event's name as logs have it: `job.completed`."""
    return str(kind.__struct_config__.tag)
