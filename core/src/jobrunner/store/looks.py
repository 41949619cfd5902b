"""What may be read of a queue: one job whole, a page of a state, the fleet. Nothing here changes anything.

A page looks at a bounded number of entries. Whatever is read may be gone a moment later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from jobrunner.model import State
from jobrunner.store import answers
from jobrunner.store.calls import Call, plain
from jobrunner.store.keys import LISTS, FleetKeys, QueueKeys

MAX_PAGE = 500
"""Entries that one page looks at."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the store holds of one job, as it holds it."""

    record: bytes | None = None
    attempts: bytes | None = None
    journal: bytes | None = None
    lease: bytes | None = None
    steps: bytes | None = None
    progress: bytes | None = None
    logs: bytes | None = None
    scores: Mapping[State, float] = {}

    @property
    def state(self) -> State | None:
        """Where the job stands; None where it is in no list."""
        return next(iter(self.scores), None)

    @property
    def is_held(self) -> bool:
        """Whether it is parked since its tenant may start none now."""
        return self.scores.get(State.PARKED, 0) < 0


_HASHES = ("jobs", "attempts", "state", "lease", "steps", "progress", "logs")


def job(keys: QueueKeys, job_id: str) -> list[Call[object]]:
    """The commands that read one job; hand their replies to `found`."""
    reads = [plain(["HGET", keys[part], job_id], _same) for part in _HASHES]
    return reads + [plain(["ZSCORE", keys[part], job_id], _same) for part in LISTS.values()]


def found(replies: Sequence[object]) -> Found:
    """Put the replies of `job` together."""
    record, attempts, journal, lease, steps, progress, logs, *scores = replies
    where = {
        state: float(score)  # type: ignore[arg-type]  # bytes of a number, as Redis gives a score
        for state, score in zip(LISTS, scores, strict=True)
        if score is not None
    }
    return Found(
        record=_bytes(record),
        attempts=_bytes(attempts),
        journal=_bytes(journal),
        lease=_bytes(lease),
        steps=_bytes(steps),
        progress=_bytes(progress),
        logs=_bytes(logs),
        scores=where,
    )


def page(keys: QueueKeys, state: State, *, start: int, limit: int) -> Call[list[tuple[str, float]]]:
    """Ids of a state with their scores: waiting and delayed in the order they will run, the others newest first."""
    stop = start + min(limit, MAX_PAGE) - 1
    return plain([f"Z{_reverse(state)}RANGE", keys.of(state), start, stop, "WITHSCORES"], _scored)


def place(keys: QueueKeys, state: State, job_id: str) -> Call[int | None]:
    """How many jobs of a state stand before one, in the order of `page`; None where it is not of that state."""
    return plain([f"Z{_reverse(state)}RANK", keys.of(state), job_id], _maybe_int)


def held_before(keys: QueueKeys, tenant: str, order: int, job_id: str) -> Call[int]:
    """How many held jobs of a tenant stand before one of them; an entry is `tenant order id`."""
    return plain(
        ["ZLEXCOUNT", keys["held"], f"[{tenant} ", f"({tenant} {order:016d} {job_id}"], answers.whole
    )


def remembered_until(keys: QueueKeys, job_id: str) -> Call[float | None]:
    """Until when the id of a job that ended and was trimmed is remembered, in ms; None where it is not."""
    return plain(["ZSCORE", keys["seen"], job_id], _maybe_score)


def has_unique_key(keys: QueueKeys, job_id: str) -> Call[bool]:
    """Whether a job has a unique key until it ends; the key itself may be a secret."""
    return plain(["HEXISTS", keys["uniques"], job_id], bool)


def before(keys: QueueKeys, state: State, score: int) -> Call[int]:
    """How many jobs of a state stand before all those of a score, in the order of `page`."""
    bounds = (f"({score}", "+inf") if _reverse(state) else ("-inf", f"({score}")
    return plain(["ZCOUNT", keys.of(state), *bounds], answers.whole)


def records(keys: QueueKeys, ids: Sequence[str]) -> Call[list[bytes | None]]:
    """The records of some jobs."""
    return plain(["HMGET", keys["jobs"], *ids], answers.exactly(len(ids), _maybe_bytes))


def field(keys: QueueKeys, part: str, ids: Sequence[str]) -> Call[list[bytes | None]]:
    """One hash's values for some jobs."""
    return plain(["HMGET", keys[part], *ids], answers.exactly(len(ids), _maybe_bytes))


def ended(keys: QueueKeys, job_id: str) -> list[Call[object]]:
    """The commands that tell whether a job has ended and how; hand their replies to `how_ended`."""
    parts = [plain(["ZSCORE", keys[part], job_id], _same) for part in ("done", "dead", "cancelled")]
    return [
        *parts,
        plain(["HGET", keys["state"], job_id], _same),
        plain(["HEXISTS", keys["jobs"], job_id], _same),
    ]


def how_ended(replies: Sequence[object]) -> tuple[State | None, bytes | None, bool]:
    """The state that a job ended in, None while it has not; its journal; whether it is there at all."""
    done, dead, cancelled, journal, there = replies
    state = (
        State.COMPLETED
        if done is not None
        else State.FAILED
        if dead is not None
        else State.CANCELLED
        if cancelled is not None
        else None
    )
    return state, _bytes(journal), bool(there)


def some_of(key: str, names: Sequence[str]) -> Call[dict[str, bytes]]:
    """Some fields of a hash, those that are there."""
    return plain(["HMGET", key, *names], lambda reply: _there(names, reply))


def some_fields(key: str, most: int) -> Call[list[str]]:
    """The names of some fields of a hash: all of a small one, about `most` of a large one."""
    return plain(["HSCAN", key, 0, "COUNT", most], _scanned)


def news(keys: QueueKeys, since_ms: int, until_ms: int, limit: int) -> Call[list[dict[str, int]]]:
    """What happened in a queue from one moment, included, to another, excluded: counts by name, a batch each.

    `limit` batches at the most, oldest first; the stream keeps about 10,000.
    """
    bounds = (since_ms, f"{until_ms - 1}")
    return plain(["XRANGE", keys["events"], *bounds, "COUNT", limit], _news)


def hash_of(key: str) -> Call[dict[str, bytes]]:
    """A small hash, whole: statistics, flags, the fleet."""
    return plain(["HGETALL", key], _map)


def tally(keys: QueueKeys, field: str) -> Call[bytes | None]:
    """How many jobs of a tenant are in a state; the field is `state|tenant`."""
    return plain(["HGET", keys["tally"], field], _bytes)


def schemas(fleet: FleetKeys, queue: str) -> Call[bytes | None]:
    """The JSON Schema that workers registered for a queue."""
    return plain(["HGET", fleet.schemas, queue], _bytes)


def declared(fleet: FleetKeys, queue: str) -> Call[bytes | None]:
    """A queue's declaration as workers registered it."""
    return plain(["HGET", fleet.queues, queue], _bytes)


def _reverse(state: State) -> str:
    """The part of a command's name that says that the newest comes first."""
    return "REV" if state.ended or state is State.PARKED else ""


def _same(reply: object) -> object:
    return reply


def _bytes(reply: object) -> bytes | None:
    return reply if isinstance(reply, bytes) else None


def _maybe_int(reply: object) -> int | None:
    return None if reply is None else answers.whole(reply)


def _maybe_score(reply: object) -> float | None:
    return float(reply) if isinstance(reply, (bytes, float, int)) else None


def _maybe_bytes(reply: object) -> list[bytes | None]:
    return [answers.kept(part) for part in answers.parts(reply)]


def _scored(reply: object) -> list[tuple[str, float]]:
    reply = answers.parts(reply)
    if reply and isinstance(reply[0], (list, tuple)):  # a driver that pairs them itself
        return [(answers.text(member), float(score)) for member, score in reply]
    return [
        (answers.text(member), float(score)) for member, score in zip(reply[::2], reply[1::2], strict=True)
    ]


def _map(reply: object) -> dict[str, bytes]:
    if isinstance(reply, dict):  # a driver that pairs them itself
        return {answers.text(name): value for name, value in reply.items()}
    flat = answers.parts(reply)
    if not all(isinstance(value, bytes) for value in flat[1::2]):
        raise TypeError("no hash")
    return {answers.text(name): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _scanned(reply: object) -> list[str]:
    found = answers.parts(reply)[1]
    return [answers.text(name) for name in (found if isinstance(found, dict) else found[::2])]


def _there(names: Sequence[str], reply: object) -> dict[str, bytes]:
    values = _maybe_bytes(reply)
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _news(reply: object) -> list[dict[str, int]]:
    batches = []
    for _, flat in answers.parts(reply):
        fields = _map(flat)
        batches.append(
            {name: int(value) for name, value in fields.items() if name != "worker" and value.isdigit()}
        )
    return batches
