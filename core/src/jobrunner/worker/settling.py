"""What to do with an outcome: the settlement that the store takes, and the event that is told once it has.

One function for each, so that nowhere else has to know all the ways in which an attempt can end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, assert_never

import msgspec

from jobrunner.events import (
    Event,
    JobBuried,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobLeaseLost,
    JobParked,
    JobReleased,
    JobRetried,
    JobSnoozed,
    JobStarted,
)
from jobrunner.names import new_nonce
from jobrunner.outcome import Cancelled, Completed, Failed, Lost, Outcome, Parked, Released, Retried, Snoozed
from jobrunner.queue import Queue
from jobrunner.record import AttemptError
from jobrunner.store.calls import MAX_BATCH, Exchange, Settlement
from jobrunner.worker.attempt import Attempt

_encode = msgspec.json.encode

Ended = tuple[Attempt, Outcome]
"""An attempt that has ended, and how."""


class _About(TypedDict):
    """What every event of a job says."""

    timestamp: float
    queue: str
    plugin: str
    job_id: str
    tenant: str
    attempt: int
    worker_id: str
    trace_id: str | msgspec.UnsetType


class _Cause(TypedDict):
    """What every event of an error says."""

    duration_ms: int
    error_type: str
    error: str
    fingerprint: str
    traceback: str


def next_batch(ended: list[Ended]) -> tuple[list[Ended], list[Ended]]:
    """What is settled next, and what is left for later: a job is never in a batch twice, since a verdict is of an id."""
    batch, rest = ended[:MAX_BATCH], ended[MAX_BATCH:]
    newest = {attempt.id: attempt for attempt, _ in batch}
    if len(newest) < len(batch):  # a job came back while its lost run went on here
        rest = [one for one in batch if newest[one[0].id] is not one[0]] + rest
        batch = [one for one in batch if newest[one[0].id] is one[0]]
    return batch, rest


def exchange_of(
    batch: list[Ended],
    queue: Queue,
    *,
    consumer: str,
    serial: int,
    want: int,
    keep: int,
    counters: Mapping[str, int],
) -> Exchange:
    """The exchange that settles a batch and asks for up to `want` jobs, under a nonce of its own.

    Args:
        batch: Attempts and their outcomes, as `next_batch` gives them.
        queue: The queue, for its lease and its limits.
        consumer: The consumer's name in the store.
        serial: 1, 2, 3 ... of this consumer.
        want: Jobs to reserve.
        keep: Completed jobs past which the oldest are forgotten.
        counters: Increments for the queue's statistics.
    """
    plain: list[str] = []
    mixed = []
    for attempt, outcome in batch:
        if isinstance(outcome, Completed) and not outcome.result:
            plain += (attempt.id, attempt.nonce)
        else:
            mixed.append(settlement(attempt, outcome))
    return Exchange(
        consumer=consumer,
        serial=serial,
        nonce=new_nonce(),
        want=want,
        lease_ms=int(queue.lease * 1000),
        max_active=queue.max_active or 0,
        max_active_per_tenant=queue.max_active_per_tenant or 0,
        rate=queue.rate_limit.stored if queue.rate_limit else "0",
        rate_per_tenant=queue.rate_limit_per_tenant.stored if queue.rate_limit_per_tenant else "0",
        keep=keep,
        chosen_ms=int(queue.idempotency * 1000),
        counters=counters,
        plain=plain,
        settlements=mixed,
    )


def settlement(attempt: Attempt, outcome: Outcome) -> Settlement:
    """An outcome as the exchange takes it."""
    match outcome:
        case Completed(result=result):
            return Settlement(attempt.id, attempt.nonce, "complete", 0, result)
        case Retried(delay_s=delay, error=error):
            return Settlement(attempt.id, attempt.nonce, "retry", int(delay * 1000), _encode(error))
        case Snoozed(delay_s=delay, note=note):
            return Settlement(attempt.id, attempt.nonce, "snooze", int(delay * 1000), _encode(note))
        case Failed(error=error):
            return Settlement(attempt.id, attempt.nonce, "fail", 0, _encode(error))
        case Cancelled(note=note):
            return Settlement(attempt.id, attempt.nonce, "cancel", 0, _encode(note))
        case Parked(note=note):
            return Settlement(attempt.id, attempt.nonce, "park", 0, _encode(note))
        case Released():
            return Settlement(attempt.id, attempt.nonce, "release", 0, b"")
        case Lost(delay_s=delay, crash=crash):
            return Settlement(attempt.id, attempt.nonce, "crash", int(delay * 1000), _encode(crash))
        case _:
            assert_never(outcome)


def event_type(outcome: Outcome) -> type[Event]:
    """The event that an outcome will be told as; for asking first whether anybody listens."""
    match outcome:
        case Completed():
            return JobCompleted
        case Retried():
            return JobRetried
        case Snoozed():
            return JobSnoozed
        case Failed(error=error):
            return JobFailed if isinstance(error, AttemptError) else JobBuried
        case Cancelled():
            return JobCancelled
        case Parked():
            return JobParked
        case Released():
            return JobReleased
        case Lost():
            return JobLeaseLost
        case _:
            assert_never(outcome)


def told(attempt: Attempt, outcome: Outcome, worker_id: str, timestamp: float) -> Event:
    """The event of an outcome that the store took."""
    about = _about(attempt, worker_id, timestamp)
    duration = attempt.duration_ms
    match outcome:
        case Completed():
            return JobCompleted(**about, duration_ms=duration, wait_ms=attempt.wait_ms)
        case Retried(error=error):
            return JobRetried(**about, **_cause(error, duration), delay_ms=error.delay_ms or 0)
        case Failed(error=AttemptError() as error):
            return JobFailed(**about, **_cause(error, duration))
        case Failed():
            return JobBuried(**about)
        case Snoozed(note=note):
            return JobSnoozed(**about, duration_ms=duration, delay_ms=note.delay_ms, reason=note.reason)
        case Cancelled(note=note):
            return JobCancelled(**about, duration_ms=duration, reason=note.reason)
        case Parked(note=note):
            return JobParked(**about, reason=note.reason)
        case Released():
            return JobReleased(**about, duration_ms=duration)
        case Lost():
            return JobLeaseLost(**about, duration_ms=duration)
        case _:
            assert_never(outcome)


def started(attempt: Attempt, worker_id: str, timestamp: float) -> Event:
    """The event of an attempt that begins."""
    about = _about(attempt, worker_id, timestamp)
    return JobStarted(**about, run=attempt.counts.runs + 1, wait_ms=attempt.wait_ms)


def lease_lost(attempt: Attempt, worker_id: str, timestamp: float) -> Event:
    """The event of an attempt whose lease is gone."""
    return JobLeaseLost(**_about(attempt, worker_id, timestamp), duration_ms=attempt.duration_ms)


def cancelled_instead(attempt: Attempt, worker_id: str, timestamp: float) -> Event:
    """The event of a job that was to be tried again, and that somebody had cancelled meanwhile."""
    about = _about(attempt, worker_id, timestamp)
    return JobCancelled(**about, duration_ms=attempt.duration_ms, reason=attempt.cancel_reason or "")


def _about(attempt: Attempt, worker_id: str, timestamp: float) -> _About:
    return {
        "timestamp": timestamp,
        "queue": attempt.queue.name,
        "plugin": attempt.plugin,
        "job_id": attempt.id,
        "tenant": attempt.tenant,
        "attempt": attempt.number,
        "worker_id": worker_id,
        "trace_id": attempt.trace_id or msgspec.UNSET,
    }


def _cause(error: AttemptError, duration_ms: int) -> _Cause:
    return {
        "duration_ms": duration_ms,
        "error_type": error.error_type,
        "error": error.message,
        "fingerprint": error.fingerprint,
        "traceback": error.traceback,
    }
