"""A queue of BullMQ in its Redis: what it holds, and taking jobs out of it. Versions 4 to 6.

Nothing here knows where jobs go or what a payload is. It writes by the scripts alone.

Source: BullMQ's key layout, from the Lua scripts in its npm package (`dist/cjs/commands`), 4.18, 5.81 and 6.7.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

import msgspec

from jobrunner.errors import StoreError
from jobrunner.names import new_nonce
from jobrunner.store.address import Address
from jobrunner.store.calls import Call
from jobrunner.store.connect import open_sync_store
from jobrunner_bullmq.scripts import script

T = TypeVar("T")

MAX_DATA = 4 << 20
"""Bytes of data that are read at all: what one batch of a producer may send. A queue takes less, 256 KiB by default."""

LOOK_BYTES = 8 << 20
"""Bytes of data that one look brings along, about."""

PAGE = 500
"""Jobs that are listed at once."""

LOOK = 100
"""Jobs that one script looks at, so that it is over in a few milliseconds."""

SLACK = 500
"""Places of a list to either side of where a job was that are searched for it: workers may take others meanwhile."""

SCHEDULERS_NAMED = 20
"""Job schedulers that are told by name."""


class SourceError(StoreError):
    """The Redis that BullMQ's queue is in: it cannot be reached, or does not allow what is needed."""


class Standing(StrEnum):
    """Where a job of BullMQ stands, in its words, in the order in which its workers would come to them."""

    PAUSED = "paused"
    WAITING = "waiting"
    PRIORITIZED = "prioritized"
    DELAYED = "delayed"
    FAILED = "failed"

    @property
    def key(self) -> str:
        """The end of its key's name."""
        return "wait" if self is Standing.WAITING else str(self)

    @property
    def is_list(self) -> bool:
        """Whether the jobs are in a list, whose end is its front; else they are in a sorted set."""
        return self in (Standing.PAUSED, Standing.WAITING)


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What BullMQ has of a job.

    Attributes:
        id: Its id; any bytes.
        verdict: `ok` where it can go over; `gone`, `missing`, `locked`, `scheduler`, `flow`, `large` where it cannot.
        name: Its name, cut at 1,025 bytes.
        created: When it was added, as BullMQ has it: ms since 1970.
        priority: As BullMQ has it: 0 for none, else 1 first.
        attempts: Attempts made.
        unique: Its deduplication id, where that lasts until the job ends.
        size: Bytes of its data.
        data: Its data, JSON if all is well; empty where the verdict is not ok.
        score: Its score in a sorted set; `-` in a list, empty where it was only looked at.
    """

    id: bytes
    verdict: str
    name: bytes = b""
    created: bytes = b""
    priority: bytes = b""
    attempts: bytes = b""
    unique: bytes = b""
    size: int = 0
    data: bytes = b""
    score: bytes = b""


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A job in one of BullMQ's lists.

    Attributes:
        place: How many are before it, from the front.
        score: Its score in a sorted set; empty in a list.
    """

    id: bytes
    place: int
    score: bytes = b""


class Note(msgspec.Struct, frozen=True, gc=False):
    """A job that a run before this one took and did not finish."""

    id: bytes
    number: int
    standing: Standing
    score: bytes
    target: str


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a queue beside the jobs that can go over."""

    active: int
    parents: int
    """Parents of flows that wait for their children."""

    schedulers: int
    scheduler_names: list[str]
    """The first of them."""

    taken: int
    """Jobs that runs before this one took and did not finish."""

    paused: bool
    there: bool
    """Whether there is such a queue at all."""


class Source:
    """A queue of BullMQ. Every method raises `SourceError` where its Redis does not serve.

    Args:
        address: The Redis that it is in.
        prefix: What BullMQ's keys begin with, `bull` by default there.
        queue: Its name.
    """

    def __init__(self, address: Address, prefix: str, queue: str) -> None:
        self.prefix = prefix
        self.queue = queue
        self.nonce = new_nonce()
        self._base = f"{prefix}:{queue}:"
        self.where = address.masked()
        self._store = open_sync_store(address)
        self._number = 0

    def close(self) -> None:
        """Close the connections."""
        self._store.close()

    def counts(self) -> Counts:
        """Count what does not go over."""
        last = SCHEDULERS_NAMED - 1
        parts = ("meta", "id", *(one.key for one in Standing), "active", "repeat", "jobrunner:taken")
        active, parents, schedulers, names, taken, paused, there = self._run_many(
            [
                ("LLEN", self._base + "active"),
                ("ZCARD", self._base + "waiting-children"),
                ("ZCARD", self._base + "repeat"),
                ("ZRANGE", self._base + "repeat", 0, last),
                ("HLEN", self._base + "jobrunner:taken"),
                ("HEXISTS", self._base + "meta", "paused"),
                ("EXISTS", *(self._base + part for part in parts)),
            ]
        )
        assert isinstance(names, list)
        return Counts(
            active=_number(active),
            parents=_number(parents),
            schedulers=_number(schedulers),
            scheduler_names=[shown(name) for name in names],
            taken=_number(taken),
            paused=bool(paused),
            there=bool(there),
        )

    def page(self, standing: Standing, start: int) -> list[Listed]:
        """List jobs, those first that would run first.

        Args:
            standing: Which.
            start: How many to pass over from the front.

        Returns:
            At most `PAGE` jobs, empty behind the last one. BullMQ 4's markers in a list of jobs are left out, so a
            page may have fewer jobs than `PAGE` before the end; `size` of the list says where that is.
        """
        key = self._base + standing.key
        if standing.is_list:
            reply = self._run("LRANGE", key, -(start + PAGE), -(start + 1))
            ids = list(enumerate(reversed(reply), start=start))
            return [Listed(one, place) for place, one in ids if not one.startswith(b"0:")]
        reply = self._run("ZRANGE", key, start, start + PAGE - 1, "WITHSCORES")
        pairs = zip(reply[::2], reply[1::2], strict=True)
        return [Listed(one, place, score) for place, (one, score) in enumerate(pairs, start=start)]

    def size(self, standing: Standing) -> int:
        """How many are in a list."""
        (size,) = self._run_many([("LLEN" if standing.is_list else "ZCARD", self._base + standing.key)])
        return _number(size)

    def look(self, ids: Sequence[bytes]) -> list[Seen]:
        """What BullMQ has of some jobs; a job that is listed and has no record is `missing`."""
        found: list[Seen] = []
        while len(found) < len(ids):
            rest = ids[len(found) : len(found) + LOOK]
            reply = self._script("look", MAX_DATA, LOOK_BYTES, *rest)
            found += [_seen(one, facts) for one, facts in zip(rest, reply, strict=False)]
        return found

    def take(
        self, standing: Standing, jobs: Sequence[Listed], shift: int, target: str
    ) -> tuple[int, list[Seen]]:
        """Take jobs out of a list, so that no worker of BullMQ's can have them; each that is `ok` in the answer is taken.

        Args:
            standing: Which list.
            jobs: What to take, in their order.
            shift: How much nearer the front they are by now than their places say.
            target: Where they go, for who finds them taken and not finished.

        Returns:
            How much nearer the front they were, and what BullMQ had of each.
        """
        if not standing.is_list:
            return shift, self._take(standing, jobs, ("", ""), target)[1]
        first = -max(1, jobs[-1].place - shift + SLACK + 1)
        last = -max(1, jobs[0].place - shift - SLACK + 1)
        place, seen = self._take(standing, jobs, (first, last), target)
        if (
            place < 0 and last < -1
        ):  # workers were quicker than we thought: look in all that is before it, too
            place, seen = self._take(standing, jobs, (first, -1), target)
        there = next((job for job, one in zip(jobs, seen, strict=True) if one.verdict != "gone"), None)
        return (shift if there is None else there.place - place), seen

    def _take(
        self, standing: Standing, jobs: Sequence[Listed], window: tuple[object, object], target: str
    ) -> tuple[int, list[Seen]]:
        """How far from the front the first of the jobs was, -1 where none was there; and what BullMQ had of each."""
        ids = [job.id for job in jobs]
        args = (standing.key, *window, self.nonce, self._number, str(standing), target, MAX_DATA)
        self._number += len(jobs)
        place, *reply = self._script("take", *args, *ids)
        return _number(place), [_seen(one, facts) for one, facts in zip(ids, reply, strict=True)]

    def unfinished(self) -> list[Note]:
        """The jobs that runs before this one took and did not finish, in the order in which they were taken."""
        reply = self._run("HGETALL", self._base + "jobrunner:taken")
        notes = [_note(one, text) for one, text in zip(reply[::2], reply[1::2], strict=True)]
        return sorted(notes, key=lambda note: (note.number, note.id))

    def claim(self, ids: Sequence[bytes]) -> list[Seen]:
        """Make unfinished jobs this run's; `missing` where their record is gone, and `gone` where they were finished meanwhile."""
        reply = self._script("claim", self.nonce, MAX_DATA, *ids)
        return [_seen(one, facts) for one, facts in zip(ids, reply, strict=True)]

    def settle(self, ids: Sequence[bytes]) -> None:
        """Remove jobs that were taken. The same call again changes nothing."""
        if ids:
            self._script("settle", self.nonce, *ids)

    def put_back(self, ids: Sequence[bytes]) -> None:
        """Give jobs that were taken back to where they were, those of a list to its front. Again, it changes nothing."""
        if ids:
            self._script("put_back", self.nonce, *ids)

    def _script(self, name: str, *args: object) -> list[object]:
        reply = self._ask(Call("", ["EVAL", script(name), 1, self._base, *args], lambda reply: reply))
        return reply if isinstance(reply, list) else []

    def _run(self, *command: object) -> list[bytes]:
        (reply,) = self._run_many([command])
        assert isinstance(reply, list)
        return reply

    def _run_many(self, commands: Sequence[Sequence[object]]) -> list[object]:
        try:
            return self._store.run_many([Call("", command, lambda reply: reply) for command in commands])
        except StoreError as error:
            raise self._named(error) from error

    def _ask(self, call: Call[object]) -> object:
        try:
            return self._store.run(call)
        except StoreError as error:
            raise self._named(error) from error

    def _named(self, error: StoreError) -> SourceError:
        text = str(error).replace("REDIS_URL", "its URL").replace("; nothing was enqueued", "")
        return SourceError(f"BullMQ's server {self.where}: {text.partition(' (`jobrunner doctor')[0]}")


def shown(raw: bytes) -> str:
    """Bytes of BullMQ's as people can read them: at most 80 characters, what is no printable text escaped."""
    text = raw.decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _number(reply: object) -> int:
    assert isinstance(reply, int)
    return reply


def _seen(one: bytes, facts: object) -> Seen:
    """Read what `describe` says."""
    assert isinstance(facts, list)
    verdict, *rest = facts
    return Seen(one, verdict.decode(), *rest)


def _note(one: bytes, text: bytes) -> Note:
    try:
        _, number, standing, score, target = text.decode().split(" ", 4)
        return Note(one, int(number), Standing(standing), score.encode(), target)
    except ValueError:
        raise SourceError(
            f"what a run before this one noted of job {shown(one)} cannot be read; was it another version?"
        ) from None
