"""What a worker and its child processes say to each other: JSON messages with their length in front.

No object ever crosses but as JSON of these types, so nothing that is received can be code.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from jobrunner.outcome import Outcome

MAX_MESSAGE = 64 << 20
"""Bytes of one message: a payload at its largest."""


class LogWishes(msgspec.Struct, frozen=True, kw_only=True):
    """How a child is to write its lines: the settings of those names."""

    log_level: str
    log_format: str
    log_sample: float
    service_name: str


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag="hello"):
    """The parent's first message: what to load."""

    plugins: tuple[str, ...] | None
    path: list[str]
    queue: str
    log: LogWishes
    worker_id: str


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """Run a job."""

    id: str
    nonce: str
    record: msgspec.Raw
    counts: tuple[int, int, int]
    plugin: str


class StopIt(msgspec.Struct, frozen=True, kw_only=True, tag="stop"):
    """The job is to stop."""

    stop: str
    reason: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """The answer to an `Ask`: a value, or an error's class name, text and attributes."""

    number: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = ""
    error: str = ""
    attributes: dict[str, object] = {}


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The child has loaded its plugins; `error` says why it could not."""

    error: str = ""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """The job asks for something: `load_steps`, `save_step`, `enqueue`."""

    number: int
    what: str
    argument: msgspec.Raw


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of `enqueue`: a job that the job wants enqueued; see `Job.enqueue`."""

    queue: str
    payload: object
    place: str
    delay: float | None = None
    at: datetime | None = None
    priority: int | None = None
    tenant: str | None = None
    headers: dict[str, str] | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True, tag="said"):
    """The job reports progress or has lines to keep."""

    progress: str = ""
    """As JSON; empty where there is none."""
    lines: list[str] = []


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The job ended."""

    outcome: Outcome
    duration_s: float


ToChild = Hello | Run | StopIt | Answer
ToParent = Ready | Ask | Said | Done

_to_child: msgspec.json.Decoder[ToChild] = msgspec.json.Decoder(ToChild)
_to_parent: msgspec.json.Decoder[ToParent] = msgspec.json.Decoder(ToParent)


def hear_parent(raw: bytes) -> ToChild:
    """Read a message of the parent."""
    return _to_child.decode(raw)


def hear_child(raw: bytes) -> ToParent:
    """Read a message of a child."""
    return _to_parent.decode(raw)


def frame(message: msgspec.Struct) -> bytes:
    """A message as it goes over the pipe."""
    raw = msgspec.json.encode(message)
    return len(raw).to_bytes(4, "big") + raw


async def receive(reader: asyncio.StreamReader) -> bytes:
    """The next message.

    Raises:
        EOFError: The other side is gone.
    """
    try:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > MAX_MESSAGE:
            raise EOFError("a message is too long")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError("the other side is gone") from error
