"""How what is stored becomes what may be seen: jobs, lines of their history, queues' numbers, workers.

Payloads are masked here, and nowhere later: a view holds nothing that may not be seen. Nothing here reads the store.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner.errors import MissingKeyError, PayloadError, StoreCorruptError
from jobrunner.fleet import WorkerReport
from jobrunner.masking import MASK, masked
from jobrunner.model import LAST_MS, State
from jobrunner.queue import Queue
from jobrunner.record import (
    UNREADABLE,
    AttemptError,
    Counts,
    Crash,
    Entry,
    Note,
    Record,
    Result,
    decode_counts,
    decode_journal,
    decode_record,
)
from jobrunner.sealing import Keyring
from jobrunner.store.answers import Counts as StateCounts
from jobrunner.store.answers import counter, readable
from jobrunner.store.looks import Found
from jobrunner.views import Happening, JobSummary, JobView, QueueStats, WorkerView

NO_RECORD = b'[0,0,"",0,null]'
"""What is shown of a job whose record is gone."""


def moment_ms(stored: float | str) -> int:
    """A time as it is stored, in ms since 1970; one that nobody can live to see is the last there is."""
    return int(max(-LAST_MS, min(float(stored), LAST_MS)))


def job_view(
    queue_name: str,
    job_id: str,
    found: Found,
    queue: Queue | None,
    *,
    keyring: Keyring,
    reveal: bool = False,
    held: str = "",
) -> JobView:
    """A job as it may be seen; `reveal` as in `masked_payload`, `held` says why its tenant's jobs are."""
    record, sealed = _opened(found, queue_name, job_id, keyring)
    counts = decode_counts(found.attempts)
    score = moment_ms(next(iter(found.scores.values()), 0))
    state = found.state
    under_way = _under_way(state)
    lease = (found.lease or b"").decode("utf-8", "replace")
    words, _, reason = lease.partition("\n")
    holder = words.split(" ")
    journal = decode_journal(found.journal)
    results = [d.entry for d in journal if isinstance(d.entry, Result)]
    progress, message = _progress(found.progress)
    return JobView(
        id=job_id,
        queue=queue_name,
        state=state.value if state else "lost",
        tenant=record.tenant,
        priority=record.priority,
        attempt=counts.errors + under_way,
        runs=counts.runs + under_way,
        crashes=counts.crashes,
        enqueued_at=record.at_ms,
        due_at=score if state is State.DELAYED else None,
        ended_at=score if state and state.ended else None,
        started_at=moment_ms(holder[3]) if len(holder) > 3 and holder[3].isdecimal() else None,
        lease_until=score if state is State.ACTIVE else None,
        worker=holder[2] if len(holder) > 2 else "",
        cancel_reason=reason,
        reason=held or (_parked_for([d.entry for d in journal]) if state is State.PARKED else ""),
        version=record.version,
        headers=record.headers or {},
        payload=f"{MASK} ({sealed})" if sealed else masked_payload(record, queue, reveal=reveal),
        result=msgspec.json.decode(results[-1].value) if results else None,
        progress=progress,
        progress_message=message,
        steps=_steps(found.steps),
        history=[_happening(d.at_ms, d.entry) for d in journal],
    )


def job_summary(
    job_id: str,
    state: State,
    score: float,
    raw: bytes | None,
    runs: bytes | None,
    journal: bytes | None,
    *,
    held: str = "",
) -> JobSummary:
    """A job as a list has it; `held` says why its tenant's jobs are."""
    broken, job_id = "" if raw else "its record is gone, or cannot be read", readable(job_id)
    try:
        record, counts = decode_record(raw or NO_RECORD), decode_counts(runs)
    except StoreCorruptError as problem:  # the others on its page are to be seen all the same
        record, counts, broken = decode_record(NO_RECORD), Counts(), str(problem)
    entries = [d.entry for d in decode_journal(journal)]
    error = next(
        (_one_line(entry) for entry in reversed(entries) if isinstance(entry, (AttemptError, Crash))), ""
    )
    return JobSummary(
        id=job_id,
        state=state.value,
        tenant=record.tenant,
        priority=record.priority,
        attempt=counts.errors + _under_way(state),
        enqueued_at=record.at_ms,
        score_at=None if state is State.WAITING or score < 0 else moment_ms(score),
        last_error=broken or error,
        reason=held or (_parked_for(entries) if state is State.PARKED else ""),
        cursor=f"{score:.0f}:{job_id}",
    )


def _parked_for(entries: Sequence[Entry]) -> str:
    last = entries[-1] if entries else None
    return last.reason if isinstance(last, Note) else ""


def _under_way(state: State | None) -> int:
    """The run that the stored counts do not have: one that is under way, or that completed, which writes none."""
    return 1 if state in (State.ACTIVE, State.COMPLETED) else 0


def _opened(found: Found, queue: str, job_id: str, keyring: Keyring) -> tuple[Record, str]:
    """A job's record with its payload in clear, or why it cannot be opened here."""
    record = decode_record(found.record or NO_RECORD)
    try:
        return keyring.opened(record, queue, job_id), ""
    except MissingKeyError as error:
        return record, str(error)
    except PayloadError as error:
        return record, error.problem


def masked_payload(record: Record, queue: Queue | None, *, reveal: bool = False) -> object:
    """A payload with its secrets masked; hidden whole where nobody here knows which they are.

    Args:
        record: The job.
        queue: Its queue, where the plugin is installed.
        reveal: Show what would be hidden whole. Fields that are known to be secret stay masked.
    """
    if queue is None:
        hidden = "install the queue's plugin to see it"
    elif record.version != queue.version:
        hidden = (
            f"payload version {record.version}, and this plugin knows {queue.version}"
            if queue.has_secrets
            else ""
        )
    else:
        try:
            queue.codec.decode(record.payload)
        except PayloadError as error:
            hidden = f"it does not fit the queue: {error.field or 'payload'}: {error.problem}"
        else:
            return masked(msgspec.json.decode(record.payload), queue.payload)
    return f"{MASK} ({hidden})" if hidden and not reveal else msgspec.json.decode(record.payload)


def worker_view(report: WorkerReport, *, alive: bool) -> WorkerView:
    """A worker as a list has it."""
    return WorkerView(**msgspec.structs.asdict(report), alive=alive)


def queue_stats(
    name: str,
    counts: StateCounts,
    totals: dict[str, bytes] | None,
    *,
    workers: int,
    plugin: str = "",
    priority: int = 0,
    concurrency: int = 0,
) -> QueueStats:
    """A queue's numbers, put together; `totals` are the queue's counters, None where only some tenants' jobs count."""
    return QueueStats(
        name=name,
        waiting=counts.waiting,
        active=counts.active,
        completed=counts.completed,
        failed=counts.failed,
        total=counts.total,
        delayed=counts.delayed,
        cancelled=counts.cancelled,
        parked=counts.parked,
        completed_total=None if totals is None else counter(totals.get("completed")),
        failed_total=None
        if totals is None
        else counter(totals.get("failed")) + counter(totals.get("buried")),
        oldest_waiting_ms=None if totals is None else counts.oldest_ms,
        paused=counts.paused,
        workers=workers,
        plugin=plugin,
        priority=priority,
        concurrency=concurrency,
        held=counts.held,
    )


def _happening(at: int, entry: AttemptError | Crash | Note | Result) -> Happening:
    match entry:
        case AttemptError():
            return Happening(
                at=at,
                what="error",
                attempt=entry.attempt,
                error_type=entry.error_type,
                message=entry.message,
                traceback=entry.traceback,
                fingerprint=entry.fingerprint,
                duration_ms=entry.duration_ms,
                delay_ms=entry.delay_ms or 0,
                worker=entry.worker,
            )
        case Crash():
            return Happening(at=at, what="buried" if entry.buried else "crash", worker=entry.worker)
        case Note():
            return Happening(at=at, what=entry.what, message=entry.reason, delay_ms=entry.delay_ms)
        case Result():
            return Happening(at=at, what="result")


def told_error(journal: bytes | None) -> tuple[str, str]:
    """Type and first line of the last error that a journal tells of; a lost worker has no type."""
    entries = [dated.entry for dated in decode_journal(journal)]
    for entry in reversed(entries):
        if isinstance(entry, AttemptError):
            return entry.error_type, next(iter(entry.message.splitlines()), "")[:200]
        if isinstance(entry, Crash):
            return "", "its worker was lost"
    return "", ""


def _one_line(entry: AttemptError | Crash) -> str:
    if isinstance(entry, Crash):
        return "its worker was lost"
    first: Sequence[str] = entry.message.splitlines() or [""]
    return f"{entry.error_type}: {first[0]}"[:200]


def _progress(raw: bytes | None) -> tuple[float | None, str]:
    _, _, told = (raw or b"").partition(b" ")
    try:
        fraction, message = msgspec.json.decode(told, type=tuple[float, str])
    except UNREADABLE:
        return None, ""
    return fraction, message


def _steps(raw: bytes | None) -> dict[str, object]:
    steps: dict[str, object] = {}
    for line in (raw or b"").splitlines():
        try:
            name, value = msgspec.json.decode(line, type=tuple[str, object])
        except UNREADABLE:
            continue
        steps.setdefault(name, value)
    return steps
