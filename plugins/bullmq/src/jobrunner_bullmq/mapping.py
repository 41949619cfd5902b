"""From a job of BullMQ to what a producer of jobrunner says: id, payload, due time, priority, headers. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import msgspec

from jobrunner.drafting import MAX_HEADER, MAX_UNIQUE, Options
from jobrunner.errors import PayloadError
from jobrunner.model import MAX_PRIORITY
from jobrunner.names import MAX_JOB_ID
from jobrunner_bullmq.source import Seen, Standing

USUAL_PREFIX = "bull"
"""What BullMQ's keys begin with where nobody says otherwise."""

TICKS = 4096
"""A delayed job's score is its due time in ms, times this, plus a number that keeps jobs of one ms in order."""

_OWN = re.compile(rb"\d{1,20}")
"""Ids that BullMQ made: it counts."""

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_JOB_ID - 1}}}", re.ASCII)


def job_id(prefix: str, queue: str, seen: Seen) -> str:
    """The id of a job in jobrunner; the same job always has the same.

    An id that a producer chose stays as it is, so that a producer that has moved to jobrunner and enqueues it again doubles
    nothing. One that BullMQ counted gets its queue and the time when it was added: BullMQ counts from 1 again once the queue
    was obliterated. What cannot be an id here is hashed.
    """
    own = _OWN.fullmatch(seen.id) is not None
    text = seen.id.decode("ascii", "replace")
    if own:
        source = queue if prefix == USUAL_PREFIX else f"{prefix}.{queue}"
        text = f"{source}-{text}-{seen.created.decode('ascii', 'replace')}"
    if _NAME.fullmatch(text):
        return text
    parts = [prefix.encode(), queue.encode(), seen.id, seen.created if own else b""]
    return (
        f"bullmq-{hashlib.sha256(b''.join(b'%d:%s' % (len(part), part) for part in parts)).hexdigest()[:32]}"
    )


def priority(seen: Seen) -> int:
    """BullMQ's priority as one from 100 to 0: none comes first there, then 1, 2 ...; from 100 on all are 0.

    The order is kept: no job comes before one that BullMQ would have started first by its priority.
    """
    text = seen.priority.decode("ascii", "replace")
    theirs = int(float(text)) if re.fullmatch(r"\d{1,15}(\.\d+)?", text) else 0
    return max(0, MAX_PRIORITY - theirs)


def payload(queue: str, seen: Seen) -> dict[str, object]:
    """A job's data as a payload that the queue has yet to check.

    Raises:
        PayloadError: It is no JSON object.
    """
    try:
        value = msgspec.json.decode(seen.data)
    except msgspec.DecodeError as error:
        raise PayloadError(queue, "", f"its data is not valid JSON: {error}") from None
    except (RecursionError, UnicodeDecodeError):
        raise PayloadError(queue, "", "its data is not text, or nests too deeply") from None
    if not isinstance(value, dict):
        raise PayloadError(queue, "", f"its data is {_kind(value)}; a payload is a JSON object")
    return value


def options(prefix: str, queue: str, seen: Seen, standing: Standing, tenant: str | None) -> Options:
    """What goes beside the payload.

    Args:
        prefix: What BullMQ's keys begin with.
        queue: BullMQ's queue.
        seen: The job.
        standing: Where it stood.
        tenant: Whose it is, where the payload does not say.

    Raises:
        PayloadError: Its due time is none.
    """
    at = due(queue, seen.score) if standing is Standing.DELAYED else None
    return Options(
        # What BullMQ would start now is started now, whatever a field of its payload says of a time.
        delay=0.0 if at is None else None,
        at=at,
        priority=priority(seen),
        job_id=job_id(prefix, queue, seen),
        tenant=tenant,
        headers=headers(queue, seen),
        unique=unique(seen),
    )


def unique(seen: Seen) -> str | None:
    """A job's deduplication id as the key that it has until it ends; None where it has none, or one that is no key here."""
    text = seen.unique.decode("utf-8", "replace")
    return text if text and len(text) <= MAX_UNIQUE and text.isprintable() else None


def due(queue: str, score: bytes) -> datetime:
    """When a delayed job is due, by its score.

    Raises:
        PayloadError: That is no time.
    """
    try:
        return datetime.fromtimestamp(int(float(score)) // TICKS / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise PayloadError(
            queue, "", f"the time when it is due cannot be read: score {score!r:.40}"
        ) from None


def headers(queue: str, seen: Seen) -> dict[str, str]:
    """What BullMQ knew of the job and jobrunner has no place of its own for."""
    found = {"bullmq-queue": queue, "bullmq-id": _text(seen.id), "bullmq-name": _text(seen.name)}
    created = seen.created.decode("ascii", "replace")
    if re.fullmatch(r"\d{1,14}", created):
        found["bullmq-added"] = datetime.fromtimestamp(int(created) / 1000, UTC).isoformat(
            timespec="milliseconds"
        )
    for name, raw in (("bullmq-priority", seen.priority), ("bullmq-attempts", seen.attempts)):
        if raw not in (b"", b"0"):
            found[name] = _text(raw)
    return {name: _text(value.encode()) for name, value in found.items() if value}


def _text(raw: bytes) -> str:
    """Bytes as a header may have them: printable, and not too long."""
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)[:MAX_HEADER]


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a number"
