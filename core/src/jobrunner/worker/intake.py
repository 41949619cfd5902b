"""From a job as the store hands it out to an attempt. What cannot be read is still an attempt: it has to be settled."""

from __future__ import annotations

from jobrunner.drafting import DUE_HEADER
from jobrunner.errors import StoreCorruptError
from jobrunner.queue import Queue
from jobrunner.record import Counts, Record, decode_counts, decode_record
from jobrunner.store.answers import Reserved
from jobrunner.worker.attempt import Attempt, Desk


def taken_in(
    job: Reserved, queue: Queue, desk: Desk, *, nonce: str, now_ms: int, held_since: float, plugin: str = ""
) -> Attempt:
    """Make an attempt of a reserved job.

    Args:
        job: As the exchange gave it.
        queue: Its queue.
        desk: What the attempt asks for things.
        nonce: The lease's nonce.
        now_ms: The store's time at the reservation.
        held_since: The monotonic time at which the lease began at the latest.
        plugin: The plugin that declares the queue.
    """
    record, counts = None, Counts()
    if job.record is not None:
        try:
            counts = decode_counts(job.counts)
            record = decode_record(job.record)
        except StoreCorruptError:
            record = None
    return Attempt(
        queue,
        job.id,
        nonce,
        record,
        counts,
        desk,
        plugin=plugin,
        wait_ms=_waited_ms(record, counts, now_ms),
        held_since=held_since,
    )


def _waited_ms(record: Record | None, counts: Counts, now_ms: int) -> int:
    """Milliseconds in line before the first run: since it was enqueued, or since it was due."""
    if record is None or counts.runs:
        return 0
    due = record.headers.get(DUE_HEADER, "") if record.headers else ""
    return max(0, now_ms - max(record.at_ms, int(due) if due.isdecimal() and len(due) < 16 else 0))
