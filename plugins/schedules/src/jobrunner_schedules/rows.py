"""What the store holds of schedules, and the few commands that read and change it. Pure: nothing is sent from here.

All keys share one hash tag, so all schedules live in one slot of a cluster, and two scripts see and change them whole. A
row and its standing are only ever changed together, by whoever knows what they were: so none of any number of keepers has
to be the leader.
"""

from __future__ import annotations

import functools
import importlib.resources
from typing import Annotated

import msgspec

from jobrunner.errors import StoreCorruptError
from jobrunner.record import UNREADABLE
from jobrunner.store.answers import parts, text, whole
from jobrunner.store.calls import Call, plain
from jobrunner_schedules.schedule import MAX_JITTER_S, Missed, Overlap, Schedule

LAST_MS = 1 << 53
"""The last ms since 1970 that a score of the store holds to the digit."""

CHANGED_AT_ONCE = 25
"""Schedules that one round trip changes: each goes with its payload as it was and as it will be."""

Ms = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schedule as it is stored. Its payload stands in a job's record, sealed where those of the queue are."""

    queue: str
    record: msgspec.Raw
    """A job's record without its time: `[priority, tenant, version, payload ...]`."""
    cron: str = ""
    every: str = ""
    timezone: str = "UTC"
    missed: Missed = "last"
    overlap: Overlap = "allow"
    jitter: Annotated[int, msgspec.Meta(ge=0, le=MAX_JITTER_S)] = 0
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    tenant: str = ""

    @property
    def timing(self) -> Schedule:
        """The schedule without its payload."""
        return Schedule(
            queue=self.queue,
            cron=self.cron,
            every=self.every,
            timezone=self.timezone,
            missed=self.missed,
            overlap=self.overlap,
            jitter=self.jitter,
            priority=self.priority,
            tenant=self.tenant,
        )


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a schedule has come."""

    slot: Ms | None = None
    """The next slot, in ms since 1970; None where it is not known: then it is the first one from now."""
    paused: bool = False
    fired: Ms | None = None
    """The last slot that fired."""
    job: str = ""
    """Its job."""
    skipped: bool = False
    """Whether it was skipped, since an earlier job had not ended: then `job` is that one."""
    error: str = ""
    """Why the next slot could not be fired so far."""
    failures: Annotated[int, msgspec.Meta(ge=0)] = 0
    """How often that was tried."""


class Found(msgspec.Struct, frozen=True):
    """A schedule as it was read; the texts are what it is compared by when it is changed."""

    name: str
    row: bytes
    standing: bytes

    @property
    def is_there(self) -> bool:
        """Whether there is one of that name."""
        return bool(self.row)


class Due(msgspec.Struct, frozen=True):
    """What a look at the schedules found."""

    now_ms: int
    """The store's time."""
    found: list[Found]
    """Those that are due."""
    next_ms: int | None
    """When the next one is, after these."""
    is_set_back: bool
    """Whether the store's clock has been set back since a keeper last looked."""


class ScheduleKeys:
    """The keys of all schedules under a prefix."""

    def __init__(self, prefix: str) -> None:
        base = f"{prefix}:{{!schedules}}:"
        self.rows = base + "rows"
        """hash: name -> `Row`, JSON."""
        self.standing = base + "standing"
        """hash: name -> `Standing`, JSON."""
        self.due = base + "due"
        """zset: name -> when somebody should look at it, ms."""
        self.kept = base + "kept"
        """string: when a keeper last looked, ms."""


def look(keys: ScheduleKeys, limit: int) -> Call[Due]:
    """What is due, up to `limit` of it, those first that have been for longest; and says that somebody keeps the schedules."""
    return plain(
        ("EVAL", _script("look"), 4, keys.rows, keys.standing, keys.due, keys.kept, limit), _read_due
    )


def get(keys: ScheduleKeys, name: str) -> Call[Found]:
    """One schedule, its two texts as of one moment."""
    return plain(
        ("EVAL", _script("get"), 2, keys.rows, keys.standing, name),
        functools.partial(_read_found, name),
    )


def change(keys: ScheduleKeys, was: Found, row: bytes, standing: bytes, due_ms: int | None) -> Call[bool]:
    """Write a schedule, or nothing if it is no longer what it was: then the answer is False. An empty row removes it."""
    return plain(
        (
            *("EVAL", _script("change"), 3, keys.rows, keys.standing, keys.due),
            *(was.name, was.row, was.standing, row, standing, "" if due_ms is None else due_ms),
        ),
        lambda reply: bool(whole(reply)),
    )


def scan(keys: ScheduleKeys, cursor: str) -> Call[tuple[str, list[str]]]:
    """Some names, and the cursor of the next page: `0` behind the last one. A name may come twice."""
    return plain(("HSCAN", keys.rows, cursor, "COUNT", 500), _read_page)


def number(keys: ScheduleKeys) -> Call[int]:
    """How many schedules there are."""
    return plain(("HLEN", keys.rows), whole)


def heard(keys: ScheduleKeys, now_ms: int) -> Call[None]:
    """Write when a keeper looked, whatever stands there."""
    return plain(("SET", keys.kept, now_ms), lambda _: None)


def kept(keys: ScheduleKeys) -> Call[int | None]:
    """When a keeper last looked, in ms since 1970; None where none ever did."""
    return plain(("GET", keys.kept), lambda reply: None if reply is None else whole(reply))


def read(found: Found) -> tuple[Row, Standing]:
    """A schedule that is there.

    Raises:
        StoreCorruptError: What is stored is none.
    """
    return read_row(found), read_standing(found)


def read_standing(found: Found) -> Standing:
    """How far a schedule has come; what cannot be read says as little as what is not there."""
    try:
        return _standing.decode(found.standing or b"{}")
    except UNREADABLE:
        return Standing()


def read_row(found: Found) -> Row:
    """What a schedule is; raises as `read`."""
    try:
        return _row.decode(found.row)
    except UNREADABLE:
        raise StoreCorruptError(
            f"schedule {found.name!a:.80}: what is stored of it cannot be read; was it written by something else?"
        ) from None


_row = msgspec.json.Decoder(Row)
_standing = msgspec.json.Decoder(Standing)


@functools.cache
def _script(name: str) -> str:
    return (importlib.resources.files("jobrunner_schedules") / "lua" / f"{name}.lua").read_text("utf-8")


# ---- replies: whatever is of another shape raises what the store takes for an answer that cannot be read


def _read_found(name: str, reply: object) -> Found:
    row, standing = parts(reply)
    return Found(name, _bytes(row), _bytes(standing))


def _read_due(reply: object) -> Due:
    now_ms, following, set_back, *texts = parts(reply)
    found = [
        Found(text(name), _bytes(row), _bytes(standing))
        for name, row, standing in zip(texts[::3], texts[1::3], texts[2::3], strict=True)
    ]
    next_ms = int(min(float(text(following)), LAST_MS)) if following else None
    return Due(whole(now_ms), found, next_ms, bool(whole(set_back)))


def _read_page(reply: object) -> tuple[str, list[str]]:
    cursor, fields = parts(reply)
    return text(cursor), [text(name) for name in parts(fields)[::2]]


def _bytes(reply: object) -> bytes:
    if not isinstance(reply, bytes):
        raise TypeError("no text")
    return reply
