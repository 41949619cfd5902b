"""What people and programs see of queues, jobs and workers: the objects of every listing, camelCase as JSON.

Pure data. How they are made of what is stored, and masked, is in `showing`.
"""

from __future__ import annotations

import msgspec

from jobrunner.fleet import WorkerReport


class QueueStats(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A queue's numbers.

    Where only some tenants' jobs are counted, what is known of the queue as a whole only is null.
    """

    name: str
    waiting: int
    active: int
    completed: int
    failed: int
    total: int
    """The sum of all states."""
    delayed: int
    cancelled: int
    parked: int
    completed_total: int | None
    """Ever, and so with those that are kept no more; the next one too."""
    failed_total: int | None
    oldest_waiting_ms: int | None
    """Milliseconds for which the oldest waiting job has waited; -1 where nothing waits."""
    paused: bool
    workers: int
    plugin: str = ""
    priority: int = 0
    concurrency: int = 0
    held: int = 0
    """Those of `parked` that are held for their tenants."""


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the queues are, with what is wrong in plain words.

    `degraded` is where workers are missing or jobs wait for long, `unhealthy` where the store does not answer, else
    `healthy`.
    """

    status: str
    total_jobs: int
    active_jobs: int
    failed_jobs: int
    problems: list[str]
    queues: list[QueueStats]


class WorkerView(WorkerReport, frozen=True, kw_only=True, rename="camel", omit_defaults=False):
    """A worker in a list: its last report, and whether that is recent."""

    alive: bool


class Happening(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A line of a job's history: `error`, `crash`, `result`, `snoozed`, `parked` or `cancelled`."""

    at: int
    """ms since 1970, by the store's clock."""
    what: str
    attempt: int = 0
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    fingerprint: str = ""
    duration_ms: int = 0
    delay_ms: int = 0
    worker: str = ""


class JobView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that may be seen of one job."""

    id: str
    queue: str
    state: str
    tenant: str
    priority: int
    attempt: int
    runs: int
    crashes: int
    enqueued_at: int
    """ms since 1970, by the store's clock."""
    due_at: int | None = None
    """For a delayed job: when it may start."""
    ended_at: int | None = None
    started_at: int | None = None
    """While it runs: when this run began."""
    lease_until: int | None = None
    worker: str = ""
    cancel_reason: str = ""
    reason: str = ""
    """For a parked job: why it is held back."""
    version: int = 1
    headers: dict[str, str] = {}
    payload: object = None
    result: object = None
    progress: float | None = None
    progress_message: str = ""
    steps: dict[str, object] = {}
    history: list[Happening] = []


class JobSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A job in a list."""

    id: str
    state: str
    tenant: str
    priority: int
    attempt: int
    enqueued_at: int
    score_at: int | None
    """When it is due, when its lease ends, or when it ended; null while it waits."""
    last_error: str = ""
    reason: str = ""
    """For a parked job: why it is held back."""
    cursor: str = ""
    """The job's place in the list, for the page that begins after it."""


class JobPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a list. It may be short, or empty, where few of the jobs looked at are wanted."""

    jobs: list[JobSummary]
    next: str = ""
    """The cursor to go on with; empty at the list's end."""
    looked_at: int = 0
    """Jobs that were looked at for it."""


class Cause(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Failures that have one cause."""

    fingerprint: str
    """Stands for the error's type and the place it was raised at; `crash` where workers were lost."""
    error_type: str
    message: str
    """Of the newest of them, one line."""
    jobs: int
    latest_at: int
    """ms since 1970, by the store's clock: when the newest of them failed."""
    example: str
    """The newest job's id."""


class Causes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Failed jobs by their causes, the most frequent first."""

    causes: list[Cause]
    looked_at: int
    """Failed jobs that were looked at, the newest first."""
    total: int
    """Failed jobs that there are."""


class Minute(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What happened in a queue in one minute."""

    at: int
    """ms since 1970: when the minute began."""
    started: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
