"""What the end of a handler means: one function from an exception to an outcome.

Pure but for chance, and knows no Redis. Texts are bounded and free of the job's secrets when they leave here.
"""

from __future__ import annotations

import hashlib
import random
import traceback
from pathlib import PurePath

import msgspec

from jobrunner.backoff import Chance, asked_delay, crash_delays, delay_after
from jobrunner.errors import (
    Discard,
    JobTimeoutError,
    MissingKeyError,
    PayloadError,
    Retry,
    Snooze,
    Wish,
    WorkerLostError,
)
from jobrunner.masking import redact, redact_json
from jobrunner.model import MAX_ERROR_TEXT
from jobrunner.outcome import Cancelled, Completed, Failed, Lost, Outcome, Parked, Released, Retried, Snoozed
from jobrunner.record import AttemptError, Crash, Note, Result
from jobrunner.worker.attempt import Attempt, Stop

MAX_MESSAGE = 2 << 10
"""Bytes of an error's message; what is left of `MAX_ERROR_TEXT` is the traceback's."""

SNOOZE_BUDGET_MS = 86_400_000
"""Milliseconds that a job may be snoozed in all."""


class UnknownVersion(Exception):  # noqa: N818 - told to the pipeline only, never to people
    """The payload's version is newer than this worker's, or has no upgrade to it."""


def completed(attempt: Attempt, value: object) -> Outcome:
    """The outcome of a handler that returned."""
    if value is None:
        return Completed()
    try:
        raw = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        return _failed(
            attempt, TypeError(f"the handler's result cannot be written as JSON: {error}"), given_up=True
        )
    if len(raw) > attempt.queue.max_result:
        most = attempt.queue.max_result
        problem = f"the handler's result has {len(raw):,} bytes, and the queue takes {most:,}; return a reference instead"
        return _failed(attempt, ValueError(problem), given_up=True)
    raw = redact_json(raw, attempt.secrets)
    return Completed(result=msgspec.json.encode(Result(value=msgspec.Raw(raw))))


def ended_by(
    attempt: Attempt, error: BaseException, chance: Chance = random.random, *, snoozed_ms: int = 0
) -> Outcome:
    """The outcome of a handler that raised.

    Args:
        attempt: The attempt.
        error: What it raised; a cancellation means what the attempt was stopped for.
        chance: The jitter's source.
        snoozed_ms: Milliseconds that the job has been snoozed before.
    """
    if attempt.stop is not None and not isinstance(error, Wish):
        return _stopped(attempt, chance)  # whatever its clean-up raised
    match error:
        case Discard():
            return _failed(attempt, error, given_up=True)
        case Snooze():
            return _snoozed(attempt, error, snoozed_ms, chance)
        case Retry():
            return _failed(attempt, error, wait=asked_delay(error.after, chance), chance=chance)
        case UnknownVersion() | MissingKeyError():
            return Parked(note=Note(what="parked", reason=str(error)))
        case PayloadError():
            return _failed(attempt, error, given_up=True)
        case WorkerLostError():
            return _lost(attempt, error, chance)
        case _:
            return _failed(attempt, error, chance=chance)


def _stopped(attempt: Attempt, chance: Chance) -> Outcome:
    """The outcome of an attempt that was cancelled for a reason of ours."""
    reason = attempt.cancel_reason or ""
    match attempt.stop:
        case Stop.CANCELLED:
            return Cancelled(note=Note(what="cancelled", reason=reason))
        case Stop.TIMEOUT:
            return _failed(attempt, JobTimeoutError(reason), chance=chance)
        case _:  # shutdown gives the job back; with the lease lost nothing that is said will be taken
            return Released()


def _snoozed(attempt: Attempt, wish: Snooze, before_ms: int, chance: Chance) -> Outcome:
    delay_ms = int(wish.seconds * 1000)
    if before_ms + delay_ms > SNOOZE_BUDGET_MS:
        problem = f"it was snoozed for {before_ms / 3_600_000:.1f} h in all, and 24 h is the most"
        return _failed(attempt, Retry(wish.seconds, problem), wait=wish.seconds, chance=chance)
    reason = _clean(wish.reason, attempt, MAX_MESSAGE)
    note = Note(what="snoozed", reason=reason, delay_ms=delay_ms, total_ms=before_ms + delay_ms)
    return Snoozed(delay_s=wish.seconds, note=note)


def _lost(attempt: Attempt, error: WorkerLostError, chance: Chance) -> Outcome:
    crashes = attempt.counts.crashes + 1
    if crashes >= attempt.queue.max_crashes:
        return Failed(error=Crash(worker=str(error), buried=True))
    bounds = crash_delays(attempt.queue.max_crashes)
    bound = bounds[min(crashes, len(bounds)) - 1]
    return Lost(delay_s=bound * (0.5 + chance() / 2), crash=Crash(worker=str(error)))


def _failed(
    attempt: Attempt,
    error: BaseException,
    *,
    given_up: bool = False,
    wait: float | None = None,
    chance: Chance = random.random,
) -> Outcome:
    last = given_up or attempt.number >= attempt.queue.retry.max_attempts
    delay = (
        0.0 if last else delay_after(attempt.queue.retry, attempt.number, chance) if wait is None else wait
    )
    told = describe(attempt, error, delay_ms=None if last else int(delay * 1000))
    return Failed(error=told) if last else Retried(delay_s=delay, error=told)


def describe(attempt: Attempt, error: BaseException, *, delay_ms: int | None) -> AttemptError:
    """An error as it is kept with the job: bounded, and without the job's secrets."""
    message = _clean(_message(error), attempt, MAX_MESSAGE)
    # A wish says in its message all that there is to say; a traceback is for what nobody asked for.
    trace = "" if isinstance(error, (Wish, PayloadError)) else _traceback(error)
    return AttemptError(
        attempt=attempt.number,
        error_type=type(error).__qualname__[:200],
        message=message,
        traceback=_clean(trace, attempt, MAX_ERROR_TEXT - MAX_MESSAGE, keep_end=True),
        fingerprint=fingerprint(error),
        delay_ms=delay_ms,
    )


def timed(outcome: Outcome, duration_ms: int) -> Outcome:
    """An outcome whose error tells how long the attempt took: known only when all of it is over."""
    match outcome:
        case Retried(error=AttemptError() as error) | Failed(error=AttemptError() as error):
            told = msgspec.structs.replace(error, duration_ms=duration_ms)
            return msgspec.structs.replace(outcome, error=told)
        case _:
            return outcome


def fingerprint(error: BaseException) -> str:
    """12 hexadecimal characters that stand for the cause: the error's type and the place that raised it.

    Line numbers are left out, so that an edit elsewhere in the file makes no new cause of an old one.
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{PurePath(frames[-1].filename).name}:{frames[-1].name}" if frames else ""
    if isinstance(error, Discard):
        place = error.reason if not frames else place
    return hashlib.sha256(f"{type(error).__qualname__}|{place}".encode()).hexdigest()[:12]


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - an error whose text cannot be made is still an error
        return f"(its text cannot be made: {type(broken).__name__})"


def _traceback(error: BaseException) -> str:
    """The traceback below our own frames, without locals."""
    trace = error.__traceback__
    while trace is not None and "jobrunner/worker/" in trace.tb_frame.f_code.co_filename.replace("\\", "/"):
        trace = trace.tb_next
    try:
        return "".join(
            traceback.format_exception(type(error), error, trace or error.__traceback__, limit=-30)
        )
    except Exception as broken:  # noqa: BLE001 - as above
        return f"(its traceback cannot be made: {type(broken).__name__})"


def _clean(text: str, attempt: Attempt, most: int, *, keep_end: bool = False) -> str:
    """Redact before cutting, so that no secret is cut in half and slips through."""
    raw = redact(text, attempt.secrets).encode("utf-8", "backslashreplace")
    if len(raw) > most:
        raw = b"..." + raw[3 - most :] if keep_end else raw[: most - 3] + b"..."
    return raw.decode("utf-8", "replace" if len(raw) == most else "strict")
