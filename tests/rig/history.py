"""Write down what producers, handlers and a test did to each job, and read it back.

Every process appends to a file of its own, one JSON object a line, one system call a line, so a SIGKILL leaves
whole lines behind. Nothing here judges: that is the checker's part.
"""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import msgspec

Outcome = Literal["completed", "retried", "snoozed", "failed", "cancelled", "parked", "released", "lost"]
Verdict = Literal["accepted", "refused"]
Harm = Literal["killed", "frozen", "cut off"]


class HistoryError(Exception):
    """A history file holds something else than events."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    at_ms: int
    """When it was written, by the monotonic clock that all processes of a machine share."""


class Accepted(_Event, frozen=True, kw_only=True):
    """The store said yes to a producer."""

    job_id: str


class Unknown(_Event, frozen=True, kw_only=True):
    """A producer never learned whether the store took the job."""

    job_id: str


class Leased(_Event, frozen=True, kw_only=True):
    """A lease was given, or renewed, until `until_ms` of the same clock as `at_ms`."""

    job_id: str
    nonce: str
    until_ms: int


class Started(_Event, frozen=True, kw_only=True):
    """A handler began. `run` is the number that rises with each run of the job."""

    job_id: str
    run: int
    nonce: str
    worker: str


class Ended(_Event, frozen=True, kw_only=True):
    """A handler came to its end; `result` is what it returned, as the store would keep it."""

    job_id: str
    nonce: str
    outcome: Outcome
    result: str = ""


class Settled(_Event, frozen=True, kw_only=True):
    """The store answered a settle for good; a repeated question is written down once."""

    job_id: str
    nonce: str
    outcome: Outcome
    verdict: Verdict


class Recovered(_Event, frozen=True, kw_only=True):
    """A worker found that the job's lease had run out, and the store took it back."""

    job_id: str


class Harmed(_Event, frozen=True, kw_only=True):
    """A test killed, froze or cut off a worker that held leases.

    It happened between `since_ms` and `at_ms`: the leases were read from the store in between.
    """

    worker: str
    harm: Harm
    leased: dict[str, str]
    """Job id to the nonce of the lease that the worker held then."""
    since_ms: int


Event = Accepted | Unknown | Leased | Started | Ended | Settled | Recovered | Harmed

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def now_ms() -> int:
    """Return the time of all events: milliseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // 1_000_000


class History:
    """Appends events to one file of this process. Its methods may be called from any thread."""

    def __init__(self, folder: Path, name: str) -> None:
        """Make the file.

        Args:
            folder: where all files of one history are; made if it is not there.
            name: who writes, for people who read the files.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing more can be written."""
        os.close(self._file)

    def write(self, event: Event) -> None:
        """Append one event, in one system call.

        Raises:
            HistoryError: the disk took only part of it.
        """
        line = _ENCODER.encode(event) + b"\n"
        if os.write(self._file, line) != len(line):
            raise HistoryError(f"{self.path}: the last line is not whole; is the disk full?")

    def accepted(self, job_id: str) -> None:
        """The store took the job."""
        self.write(Accepted(at_ms=now_ms(), job_id=job_id))

    def unknown(self, job_id: str) -> None:
        """The store may have taken the job."""
        self.write(Unknown(at_ms=now_ms(), job_id=job_id))

    def leased(self, job_id: str, *, nonce: str, until_ms: int) -> None:
        """A lease was given or renewed, until `until_ms` by `now_ms`."""
        self.write(Leased(at_ms=now_ms(), job_id=job_id, nonce=nonce, until_ms=until_ms))

    def started(self, job_id: str, *, run: int, nonce: str, worker: str) -> None:
        """A handler begins."""
        self.write(Started(at_ms=now_ms(), job_id=job_id, run=run, nonce=nonce, worker=worker))

    def ended(self, job_id: str, *, nonce: str, outcome: Outcome, result: str = "") -> None:
        """A handler is about to return or to raise."""
        self.write(Ended(at_ms=now_ms(), job_id=job_id, nonce=nonce, outcome=outcome, result=result))

    def settled(self, job_id: str, *, nonce: str, outcome: Outcome, verdict: Verdict) -> None:
        """The store accepted or refused an outcome."""
        self.write(Settled(at_ms=now_ms(), job_id=job_id, nonce=nonce, outcome=outcome, verdict=verdict))

    def recovered(self, job_id: str) -> None:
        """The store took back a lease that had run out."""
        self.write(Recovered(at_ms=now_ms(), job_id=job_id))

    def harmed(self, worker: str, *, harm: Harm, leased: Mapping[str, str], since_ms: int) -> None:
        """A worker was killed, frozen or cut off at some time since `since_ms`.

        Args:
            worker: its name.
            harm: what was done to it.
            leased: the leases it held, job id to nonce, as the store had them after the harm.
            since_ms: a time before the harm, by `now_ms`.
        """
        self.write(Harmed(at_ms=now_ms(), worker=worker, harm=harm, leased=dict(leased), since_ms=since_ms))


def read_file(path: Path) -> list[Event]:
    """Read one process's events.

    A last line that is not whole is left out: its writer died while it wrote.

    Args:
        path: the file.

    Returns:
        The events in the order in which they were written.

    Raises:
        HistoryError: a line is no event; the text names the file and the line.
    """
    *lines, _torn = path.read_bytes().split(b"\n")
    events: list[Event] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(_DECODER.decode(line))
        except msgspec.MsgspecError as error:
            raise HistoryError(f"{path}:{number}: not an event: {error}") from error
    return events


def read_history(folder: Path) -> list[Event]:
    """Read the events of all processes that wrote to a folder.

    Args:
        folder: where the files are.

    Returns:
        All events, oldest first; those of one millisecond in the order of the files' names.

    Raises:
        HistoryError: a line in one of the files is no event.
    """
    events = [event for path in sorted(folder.glob("*.jsonl")) for event in read_file(path)]
    return sorted(events, key=lambda event: event.at_ms)
