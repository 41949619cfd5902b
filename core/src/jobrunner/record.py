"""What the store holds of a job, and how it is read back.

A record is written once by the producer and never changed; a journal grows by a line an attempt. Both are
JSON that the scripts never decode: they only put the server's time in front and look at the first fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

import msgspec

from jobrunner.errors import StoreCorruptError
from jobrunner.model import LAST_MS

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A job as it was enqueued. Fields at the end that are empty are left out; unknown ones are kept unread."""

    at_ms: Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
    priority: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
    tenant: str
    version: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]
    payload: msgspec.Raw
    headers: dict[str, str] | None = None
    fingerprint: str = ""


class Counts(msgspec.Struct, frozen=True, gc=False):
    """The attempts of a job that have ended.

    Attributes:
        runs: All of them; it only rises, and the next one's number is `runs + 1`: the fencing number.
        unspent: Those that charged nothing: snoozes, releases, and what a retry by hand forgave.
        crashes: Those whose worker was lost.
    """

    runs: int = 0
    unspent: int = 0
    crashes: int = 0

    @property
    def errors(self) -> int:
        """Attempts that ended in an error of the handler: what `max_attempts` counts."""
        return self.runs - self.unspent - self.crashes


class AttemptError(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="error", omit_defaults=True
):
    """An attempt that ended in an error."""

    attempt: int
    error_type: str
    message: str
    traceback: str = ""
    fingerprint: str = ""
    duration_ms: int = 0
    worker: str = ""
    delay_ms: int | None = None
    """Milliseconds to the next attempt; None where the job was given up."""


class Crash(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="crash", omit_defaults=True):
    """An attempt whose worker was lost: its lease ran out, or its process died."""

    worker: str = ""
    buried: bool = False
    """Whether it was one crash too many, and the job was failed for it."""


class Note(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="note", omit_defaults=True):
    """Something that happened to the job and was no error: snoozed, parked, cancelled, released."""

    what: str
    reason: str = ""
    delay_ms: int = 0
    total_ms: int = 0
    """Milliseconds that the job has been snoozed in all."""


class Result(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="result", omit_defaults=True):
    """What the handler returned."""

    value: msgspec.Raw


Entry = AttemptError | Crash | Note | Result


class Dated(msgspec.Struct, frozen=True):
    """A line of a job's journal with the server's time, in ms."""

    at_ms: int
    entry: Entry


_record = msgspec.json.Decoder(Record)
_entry = msgspec.json.Decoder(Entry)


def decode_record(raw: bytes) -> Record:
    """Read a stored record.

    Raises:
        StoreCorruptError: It is not one.
    """
    try:
        return _record.decode(raw)
    except UNREADABLE as error:
        raise StoreCorruptError(
            f"a stored job cannot be read ({error}); it was not written by jobrunner"
        ) from error


def encode_record(
    priority: int,
    tenant: str,
    version: int,
    payload: bytes,
    headers: Mapping[str, str] | None = None,
    fingerprint: str = "",
) -> bytes:
    """Encode a record as `enqueue` takes it: without the opening bracket and the time, which the script adds."""
    tail = b""
    if fingerprint:
        tail = (
            b","
            + (msgspec.json.encode(headers) if headers else b"null")
            + b',"'
            + fingerprint.encode()
            + b'"'
        )
    elif headers:
        tail = b"," + msgspec.json.encode(headers)
    return b'%d,"%s",%d,%s%s]' % (priority, tenant.encode(), version, payload, tail)


def decode_counts(raw: bytes | str | None) -> Counts:
    """Read `runs unspent crashes`; a job that never ran has none."""
    if not raw:
        return _NO_RUNS
    try:
        runs, unspent, crashes = map(int, raw.split())
    except ValueError as error:
        raise StoreCorruptError(
            "a stored attempt count cannot be read; it was not written by jobrunner"
        ) from error
    return Counts(runs, unspent, crashes)


_NO_RUNS = Counts()


def decode_journal(raw: bytes | None) -> list[Dated]:
    """Read a job's journal, oldest first. A line that cannot be read is left out: it is for people to look at."""
    lines: list[Dated] = []
    for line in (raw or b"").splitlines():
        at, _, entry = line.partition(b" ")
        try:
            lines.append(Dated(int(at), _entry.decode(entry)))
        except (ValueError, *UNREADABLE):
            continue
    return lines


def snoozed_ms(journal: Iterable[Dated]) -> int:
    """Milliseconds for which a job has been snoozed so far, in all."""
    notes = [
        dated.entry for dated in journal if isinstance(dated.entry, Note) and dated.entry.what == "snoozed"
    ]
    return notes[-1].total_ms if notes else 0
