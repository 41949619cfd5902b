"""Every exception of jobrunner, and the three wishes that a handler raises.

It imports nothing of jobrunner, so that every module may raise what stands here. It never formats for a
terminal: the command line prints a message as it is and takes the exit status from the class.
"""

from __future__ import annotations

from typing import ClassVar


class JobrunnerError(Exception):
    """The base of everything that jobrunner raises on purpose; its text says what is wrong and what to do."""

    exit_status: ClassVar[int] = 1
    """What the command line exits with: 1 failed, 2 wrong usage, 3 the store cannot be used."""


# ---- wrong input ------------------------------------------------------------------------------------------


class InvalidNameError(JobrunnerError, ValueError):
    """A queue name, job id, tenant or prefix has characters that are not allowed, or is too long."""

    exit_status = 2


class SettingsError(JobrunnerError):
    """An environment variable has a value that cannot be used.

    Attributes:
        variable: The name of the environment variable.
    """

    exit_status = 2

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class PluginError(JobrunnerError):
    """A plugin cannot be found, imported or used; the text names the distribution and its version."""

    exit_status = 2


class UnknownQueueError(JobrunnerError):
    """No installed plugin declares the queue, or no worker has ever served it."""

    exit_status = 2


class PayloadError(JobrunnerError):
    """A payload does not fit its queue's type.

    Attributes:
        queue: The queue's name.
        field: The field's path as on the wire, such as `platforms[0].accountId`; empty for the whole payload.
    """

    exit_status = 2

    def __init__(self, queue: str, field: str, problem: str) -> None:
        where = f"{queue}: {field}: " if field else f"{queue}: "
        super().__init__(where + problem)
        self.queue = queue
        self.field = field
        self.problem = problem


class PayloadTooLargeError(PayloadError):
    """The encoded payload is larger than the queue takes."""


class MissingKeyError(JobrunnerError):
    """A payload was sealed with a key that is not here; what is set is in `JOBRUNNER_ENCRYPTION_KEYS`.

    Attributes:
        key: The key's id.
    """

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the payload is sealed with the key {key!r}, which JOBRUNNER_ENCRYPTION_KEYS does not have"
        )
        self.key = key


class ConflictError(JobrunnerError):
    """A job of that id is there already, with another payload. Nothing was enqueued.

    Attributes:
        ids: The ids in conflict.
    """

    def __init__(self, queue: str, ids: list[str]) -> None:
        names = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        super().__init__(
            f"{queue}: a job with id {names} exists with another payload; "
            "choose another id, or send the same payload again"
        )
        self.queue = queue
        self.ids = ids


# ---- the store --------------------------------------------------------------------------------------------


class StoreError(JobrunnerError):
    """Something about Redis; the subclass says whether what was asked for can have happened."""

    exit_status = 3


class StoreUnavailableError(StoreError):
    """Redis did not take the command: it is away, loading, busy or read-only. Nothing happened; try again."""


class OutcomeUnknownError(StoreError):
    """The command was sent and its answer lost. It may have happened; sending it again is safe by its id."""


class StoreRefusedError(StoreError):
    """Redis may not be used as it is: not authorised, too old, or evicting keys. Trying again does not help."""


class StoreFullError(StoreError):
    """Redis is at `maxmemory`. Nothing was enqueued; workers go on and make room."""

    exit_status = 1


class StoreCorruptError(StoreError):
    """A key holds what jobrunner did not write there; the text names the script and what Redis said."""


class LateExchangeError(StoreError):
    """An exchange older than the consumer's last one; its jobs are with the newer one."""


class QueueFullError(JobrunnerError):
    """The queue is at its cap of waiting jobs. Nothing was enqueued; workers make room.

    Attributes:
        queue: The queue's name.
        waiting: Jobs waiting, delayed or held.
    """

    def __init__(self, queue: str, waiting: int, cap: int, *, size: int = 0, max_size: int = 0) -> None:
        jobs = f"{waiting:,} of {cap:,} jobs" if cap else f"{waiting:,} jobs"
        size_too = f" and about {size:,} of {max_size:,} bytes" if max_size else ""
        super().__init__(f"{queue}: full with {jobs}{size_too}; try again when workers have made room")
        self.queue = queue
        self.waiting = waiting


class ClosedClientError(JobrunnerError):
    """The client is closed, or it was carried over a fork; make a new one in this process."""


# ---- what became of a job ---------------------------------------------------------------------------------


class JobNotFoundError(JobrunnerError):
    """No job has that id in that queue; it may have been trimmed."""


class ResultGone(JobrunnerError):  # noqa: N818 - the name producers know from the interface
    """The job ended and was trimmed, so its result is gone."""


class JobFailedError(JobrunnerError):
    """The job whose result was asked for is failed.

    Attributes:
        job_id: The job's id.
        error_type: The class name of its last error.
    """

    def __init__(self, job_id: str, error_type: str, message: str) -> None:
        super().__init__(f"job {job_id} failed: {error_type}: {message}")
        self.job_id = job_id
        self.error_type = error_type


class JobCancelledError(JobrunnerError):
    """The job whose result was asked for was cancelled."""


class LeaseLostError(JobrunnerError):
    """The attempt's lease has run out and the job is another's: nothing more can be written for it."""


class StepError(JobrunnerError):
    """A durable step was used wrongly: a name twice in one attempt, or a result that cannot be encoded."""


class JobTimeoutError(JobrunnerError):
    """The handler ran past its queue's timeout."""


class WorkerLostError(JobrunnerError):
    """The process that ran the job ended without an answer."""


# ---- what a handler raises to ask for something -------------------------------------------------------------


class Wish(Exception):  # noqa: N818 - a wish, not an error
    """The base of what a handler raises to say how its attempt ends."""


class Discard(Wish):
    """Give the job up at once: it is failed with this reason, and not tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(Wish):
    """Try the job again after a wait; the attempt counts.

    Args:
        after: Seconds, 0 to 30 days; jitter of up to a tenth is added, never taken away.
        reason: Why, for people who look at the job.
    """

    def __init__(self, after: float, reason: str = "") -> None:
        if not 0 <= after <= MAX_WAIT_S:
            raise ValueError(f"Retry(after={after}): after is 0 to {MAX_WAIT_S} seconds")
        super().__init__(reason or f"retry after {after:g} s")
        self.after = after
        self.reason = reason


class Snooze(Wish):
    """Run the job later without spending an attempt; 24 hours in all for a job.

    Args:
        seconds: The wait, 0 to 24 hours.
        reason: Why, for people who look at the job.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not 0 <= seconds <= MAX_SNOOZE_S:
            raise ValueError(f"Snooze({seconds}): seconds is 0 to {MAX_SNOOZE_S}")
        super().__init__(reason or f"snooze for {seconds:g} s")
        self.seconds = seconds
        self.reason = reason


MAX_WAIT_S = 30 * 86_400
"""Seconds that a handler may ask to wait: a month, beyond which a schedule is the better tool."""

MAX_SNOOZE_S = 86_400
"""Seconds that a job may be snoozed in all."""
