"""What the scripts answer, each as a value, and how it is read from a reply.

Pure: nothing here sends, and nothing decides what an answer means for a job. A reply of another shape than the call's raises
one of `faults.UNREADABLE`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from jobrunner.model import State

T = TypeVar("T")

AS_IT_WAS = "surrogateescape"
"""How text is read that may be no UTF-8: written again it is the same bytes."""


class Enqueued(msgspec.Struct, frozen=True):
    """What enqueueing said: `ids` were there before (`ok`), or are in conflict; jobs and bytes where the queue is full.

    `instead` has, for each id that was not taken in since another job has its unique key, that job's id.
    """

    status: Literal["ok", "conflict", "full"]
    ids: list[str]
    waiting: int = 0
    instead: Mapping[str, str] = {}
    max_waiting: int = 0
    bytes: int = 0
    max_bytes: int = 0


EnqueuedOne: TypeAlias = Literal["taken", "known", "limited"]
"""What enqueueing one job said: it was taken in, something is known of its id, or the queue has rules."""

_ENQUEUED_ONE: dict[object, EnqueuedOne] = {1: "taken", 0: "known", -1: "limited"}


class Reserved(msgspec.Struct, frozen=True, gc=False):
    """A job that is the consumer's now; `record` is None where someone deleted it behind our back."""

    id: str
    record: bytes | None
    counts: bytes | None


class Exchanged(msgspec.Struct, frozen=True):
    """What an exchange gave: jobs, settlements refused (id -> verdict), ms to the next delayed job, the server's time.

    `due_ms` is 0 if more are due than were lined up, -1 if none is delayed; it is also the time until a rate allows the
    next job.
    """

    jobs: list[Reserved]
    refused: dict[str, str]
    due_ms: int
    now_ms: int


class Extended(msgspec.Struct, frozen=True):
    """Leases that are lost, and those whose jobs are to stop, with the reason."""

    lost: list[str]
    cancelled: dict[str, str]


class Recovered(msgspec.Struct, frozen=True):
    """What became of leases that had run out."""

    delayed: list[str]
    buried: list[str]
    cancelled: list[str]

    @property
    def total(self) -> int:
        """All of them."""
        return len(self.delayed) + len(self.buried) + len(self.cancelled)


class Repaired(msgspec.Struct, frozen=True):
    """Leases that were ended, and a verdict for each job; see `repair.lua`."""

    ended: int
    verdicts: list[str]


class Noted(msgspec.Struct, frozen=True):
    """Jobs for which nothing was written: the lease is lost, or the job's steps are full."""

    lost: list[str]
    full: list[str]


class Counts(msgspec.Struct, frozen=True):
    """Jobs by state at one moment; `oldest_ms` is the age of the first in line, -1 if none waits.

    `held` are those of `parked` that are held for their tenants, and `coming` the tenants of those that go on by
    themselves.
    """

    waiting: int
    delayed: int
    active: int
    completed: int
    failed: int
    cancelled: int
    parked: int
    paused: bool
    oldest_ms: int
    held: int = 0
    coming: int = 0

    def of(self, state: State) -> int:
        """The jobs of one state."""
        return int(getattr(self, state.value))

    @property
    def total(self) -> int:
        """The jobs of all states."""
        return sum(self.of(state) for state in State)


class Head(msgspec.Struct, frozen=True, gc=False):
    """What a list shows of a job, as it is stored: the record's start, its counts, the lines that tell of it last."""

    record: bytes | None
    counts: bytes | None
    told: bytes | None


def text(value: object) -> str:
    """A reply that is text. What somebody else wrote and is no UTF-8 is read so that it can be sent as it was."""
    if isinstance(value, bytes):
        return value.decode(errors=AS_IT_WAS)
    if isinstance(value, str):
        return value
    raise TypeError("no text")


def parts(reply: object) -> list[Any]:
    """A reply that is a list."""
    if isinstance(reply, (list, tuple)):
        return list(reply)
    raise TypeError("no list")


def readable(name: str) -> str:
    """A name as people may see it, with what is no UTF-8 as hexadecimal."""
    return name.encode(errors=AS_IT_WAS).decode(errors="backslashreplace")


def texts(reply: object) -> list[str]:
    """A list of texts."""
    return [text(part) for part in parts(reply)]


def exactly(number: int, read: Callable[[object], list[T]]) -> Callable[[object], list[T]]:
    """A reading of a list that has one answer for each of so many questions."""

    def read_all(reply: object) -> list[T]:
        found = read(reply)
        if len(found) != number:
            raise ValueError(f"{len(found)} answers to {number} questions")
        return found

    return read_all


def counter(stored: bytes | None) -> int:
    """A count as a hash keeps it: 0 where there is none, or where somebody wrote what is no number."""
    try:
        found = int(stored or 0)
    except ValueError:
        return 0
    return found if abs(found) < 1 << 63 else 0


def whole(reply: object) -> int:
    """A whole number."""
    if isinstance(reply, (int, bytes)):
        return int(reply)
    raise TypeError("no number")


def now_ms(reply: object) -> int:
    """The server's time in ms, of `TIME`."""
    reply = parts(reply)
    return int(reply[0]) * 1000 + int(reply[1]) // 1000


def pairs(reply: object) -> dict[str, str]:
    """Texts that come in pairs, as a map."""
    flat = texts(reply)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def enqueued(reply: object) -> Enqueued:
    """Read the answer of `enqueue`."""
    reply = parts(reply)
    match text(reply[0]):
        case "ok":
            return Enqueued("ok", texts(reply[1]), instead=pairs(reply[2]) if reply[2] else {})
        case "conflict":
            return Enqueued("conflict", texts(reply[1]))
        case _:
            waiting, most, size, most_bytes = [whole(part) for part in reply[1:]]
            return Enqueued("full", [], waiting, max_waiting=most, bytes=size, max_bytes=most_bytes)


def enqueued_one(reply: object) -> EnqueuedOne:
    """Read the answer of `enqueue_one`."""
    return _ENQUEUED_ONE[reply]


def exchanged(reply: object) -> Exchanged:
    """Read the answer of `exchange`."""
    reply = parts(reply)
    ids, records, runs, refused, due_ms, now_ms = reply
    jobs = [
        Reserved(text(id_), kept(record), kept(run))
        for id_, record, run in zip(ids, records, runs, strict=True)
    ]
    return Exchanged(jobs, pairs(refused) if refused else {}, whole(due_ms), whole(now_ms))


def kept(value: object) -> bytes | None:
    """A value of a hash, None where it has none."""
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError("no value of a hash")


def extended(reply: object) -> Extended:
    """Read the answer of `extend`."""
    reply = parts(reply)
    return Extended(texts(reply[0]), pairs(reply[1]))


def recovered(reply: object) -> Recovered:
    """Read the answer of `recover`."""
    reply = parts(reply)
    return Recovered(*[texts(part) for part in reply])


def repaired(reply: object) -> Repaired:
    """Read the answer of `repair`."""
    reply = parts(reply)
    return Repaired(whole(reply[0]), texts(reply[1]))


def noted(reply: object) -> Noted:
    """Read the answer of `note`."""
    reply = parts(reply)
    return Noted(texts(reply[0]), texts(reply[1]))


def counted(reply: object) -> Counts:
    """Read the answer of `counts`."""
    reply = parts(reply)
    waiting, delayed, active, completed, failed, cancelled, parked, *rest = [whole(part) for part in reply]
    paused, oldest_ms, held, coming = rest
    return Counts(
        *(waiting, delayed, active, completed, failed, cancelled, parked),
        bool(paused),
        oldest_ms,
        held,
        coming,
    )


def heads(reply: object) -> list[Head]:
    """Read the answer of `heads`."""
    reply = parts(reply)
    return [Head(*one) for one in zip(*reply, strict=True)]


def causes(reply: object) -> list[tuple[str, str]]:
    """Read the answer of `causes`: tenant and cause of each job."""
    reply = parts(reply)
    tenants, causes = map(texts, reply)
    return list(zip(tenants, causes, strict=True))
