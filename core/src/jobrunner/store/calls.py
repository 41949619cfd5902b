"""What may be asked of a queue in the store, each as a value: the script, its keys and arguments.

How the answers are read is the business of `answers`. Both are pure, so the async and the sync store share them, and a
call can be sent again as it is. Policy is the caller's: nothing here decides how long anything waits or is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, Literal, TypeVar

import msgspec

from jobrunner.model import State
from jobrunner.store import answers
from jobrunner.store.answers import (
    Counts,
    Enqueued,
    EnqueuedOne,
    Exchanged,
    Extended,
    Head,
    Noted,
    Recovered,
    Repaired,
)
from jobrunner.store.keys import LISTS, QueueKeys
from jobrunner.store.scripts import SCRIPT_KEYS
from jobrunner.store.wire import PART

T = TypeVar("T")

_AGAIN = (State.FAILED, State.CANCELLED, State.DELAYED, State.PARKED)
"""States whose jobs may be put in line again by hand."""

MAX_BATCH = 120
"""Jobs that one exchange reserves or settles, so that no script holds Redis for 5 ms."""

MAX_ENQUEUE = 240
"""Jobs that one enqueue takes; as above."""

MAX_HEADS = 200
"""Ids that one look at heads or causes takes, so that it does not hold Redis for 5 ms either."""

MAX_BY_HAND = 100
"""Ids that one call of the scripts for people takes."""


class Call(msgspec.Struct, Generic[T], frozen=True):
    """One command for the store.

    Attributes:
        script: The script's name; empty for a plain command.
        command: The plain command, or the script's arguments.
        parse: Turns the reply into the answer.
        keys: The number of the script's keys, and the keys.
        tail: The arguments as they go over the wire, where they are known so.
    """

    script: str
    command: Sequence[object]
    parse: Callable[[object], T]
    keys: tuple[object, ...] = ()
    tail: bytes = b""


class NewJob(msgspec.Struct, frozen=True, gc=False):
    """A job to enqueue. `when` is `0`, a number of ms from now, or `@` and a Unix time in ms; `unique` is its key."""

    id: str
    when: str
    record: bytes
    unique: str = ""


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What became of one attempt, as the exchange takes it."""

    id: str
    nonce: str
    outcome: str
    delay_ms: int = 0
    entry: bytes = b""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's round trip, ready to be sent once or again.

    Attributes:
        plain: id, nonce, id, nonce ... of jobs that completed without a result.
        rate: What the queue may start, `jobs ms burst`, or `0` for any number; `rate_per_tenant` the same for each tenant.
        counters: Increments for the queue's statistics.
    """

    consumer: str
    serial: int
    nonce: str
    want: int
    lease_ms: int
    promote: int = 80
    max_active: int = 0
    max_active_per_tenant: int = 0
    rate: str = "0"
    rate_per_tenant: str = "0"
    keep: int = 1000
    own_ms: int = 120_000
    chosen_ms: int = 86_400_000
    counters: Mapping[str, int] = {}
    plain: Sequence[str] = ()
    settlements: Sequence[Settlement] = ()


class NoteLine(msgspec.Struct, frozen=True):
    """Something that a running job has to say."""

    id: str
    nonce: str
    kind: Literal["step", "progress", "log"]
    text: bytes


def enqueue(
    keys: QueueKeys, jobs: Sequence[NewJob], max_waiting: int = 0, max_bytes: int = 0
) -> Call[Enqueued]:
    """Take in 1 to `MAX_ENQUEUE` jobs, all or nothing; ids that are known are answered, not doubled."""
    unique: list[object] = []
    for number, job in enumerate(jobs, start=1):
        if job.unique:
            unique += (number, job.unique)
    args: list[object] = [max_waiting, max_bytes, len(unique) // 2, *unique]
    for job in jobs:
        args += (job.id, job.when, job.record)
    return _call("enqueue", keys, args, answers.enqueued)


_JOB = PART + PART


def enqueue_one(keys: QueueKeys, job: NewJob) -> Call[EnqueuedOne]:
    """Take in one job that can run now and has no unique key, in a queue that nothing limits.

    Where it was not taken in nothing has happened: `enqueue` says what is known, or keeps the queue's rules.

    Args:
        keys: The queue's keys.
        job: The job; its `when` is `0`.
    """
    job_id, record = job.id.encode(), job.record
    tail = _JOB % (len(job_id), job_id, len(record), record)
    return Call(
        "enqueue_one",
        (job_id, record),
        answers.enqueued_one,
        keys.remembered.get("enqueue_one") or _keys("enqueue_one", keys),
        tail,
    )


def mark(keys: QueueKeys) -> Call[object]:
    """A write that changes nothing and is replicated all the same."""
    return command("HINCRBY", keys["stats"], "enqueued", 0)


def exchange(keys: QueueKeys, request: Exchange) -> Call[Exchanged]:
    """Settle a batch, line up what is due, reserve up to `want` jobs. Sent again, it answers the same."""
    args: list[object] = [
        *(request.consumer, request.serial, request.nonce, request.want, request.lease_ms, request.promote),
        *(request.max_active, request.keep, request.own_ms, request.chosen_ms),
        *(request.max_active_per_tenant, request.rate, request.rate_per_tenant, len(request.counters)),
    ]
    for name, count in request.counters.items():
        args += (name, count)
    args.append(len(request.plain) // 2)
    args += request.plain
    for one in request.settlements:
        args += (one.id, one.nonce, one.outcome, one.delay_ms, one.entry)
    return _call("exchange", keys, args, answers.exchanged, memory=keys.memory(request.consumer))


def extend(keys: QueueKeys, lease_ms: int, leases: Iterable[tuple[str, str]]) -> Call[Extended]:
    """Renew up to 500 leases, each (id, nonce)."""
    args: list[object] = [lease_ms]
    for lease in leases:
        args += lease
    return _call("extend", keys, args, answers.extended)


def recover(
    keys: QueueKeys, *, lease_ms: int, limit: int, max_crashes: int, seed: int, delays_ms: Sequence[int]
) -> Call[Recovered]:
    """Take back up to `limit` leases that ran out."""
    args: list[object] = [lease_ms, limit, max_crashes, seed, *delays_ms]
    return _call("recover", keys, args, answers.recovered)


def note(keys: QueueKeys, notes: Iterable[NoteLine], *, max_steps: int, max_logs: int) -> Call[Noted]:
    """Write up to 500 notes of running jobs, each under its lease."""
    args: list[object] = [max_steps, max_logs]
    for one in notes:
        args += (one.id, one.nonce, one.kind, one.text)
    return _call("note", keys, args, answers.noted)


def cancel(keys: QueueKeys, ids: Sequence[str], *, reason: str, entry: bytes) -> Call[list[str]]:
    """Stop up to `MAX_BY_HAND` jobs; a verdict each: `cancelled`, `requested`, `ended` or `missing`."""
    return _call("cancel", keys, [reason, entry, *ids], answers.exactly(len(ids), answers.texts))


def retry(keys: QueueKeys, state: State, ids: Sequence[str], *, forgive: bool) -> Call[list[str]]:
    """Put up to `MAX_BY_HAND` jobs of a state in line again; the ids that were moved."""
    if state not in _AGAIN:
        raise ValueError(f"jobs that are {state.value} cannot be put in line again")
    args: list[object] = [state.value, int(forgive), *ids]
    return _call("retry", keys, args, answers.texts, **{"from": keys.of(state)})


def remove(keys: QueueKeys, ids: Sequence[str]) -> Call[list[str]]:
    """Delete up to `MAX_BY_HAND` jobs that are not running; the ids that were removed."""
    return _call("remove", keys, list(ids), answers.texts)


def trim(
    keys: QueueKeys,
    state: State,
    *,
    keep: int,
    keep_ms: int,
    limit: int,
    own_ms: int = -1,
    chosen_ms: int = 0,
) -> Call[int]:
    """Forget the oldest jobs of a state, up to `limit` (500); how many were. `keep_ms` -1 is any age."""
    if state is State.ACTIVE:
        raise ValueError("jobs that run are never cleared")
    args: list[object] = [state.value, keep, keep_ms, limit, own_ms, chosen_ms]
    return _call("trim", keys, args, answers.whole, list=keys.of(state))


def prune(keys: QueueKeys, limit: int) -> Call[int]:
    """Forget ids that were remembered long enough, and full buckets, up to `limit` (1,000) each; how many were."""
    return _call("prune", keys, [limit], answers.whole)


def repair(
    keys: QueueKeys,
    ids: Sequence[str],
    leases: Sequence[tuple[str, bytes]] = (),
    held: Sequence[bytes] = (),
) -> Call[Repaired]:
    """Put up to `MAX_BY_HAND` jobs back in their place, end up to as many leases of workers that are gone, and drop up to
    as many entries of `held` that stand for no parked job.
    """
    args: list[object] = [len(leases)]
    for lease in leases:
        args += lease
    return _call("repair", keys, [*args, len(held), *held, *ids], answers.repaired)


def adjust(keys: QueueKeys, fields: Mapping[str, tuple[int | None, int]]) -> Call[int]:
    """Set up to 300 fields of the tally: name -> as it was seen, as it should be. How many still were as seen."""
    args: list[object] = []
    for name, (seen, right) in fields.items():
        args += (name, "" if seen is None else seen, right)
    return _call("adjust", keys, args, answers.whole)


def counts(keys: QueueKeys) -> Call[Counts]:
    """Jobs by state, at one moment."""
    return _call("counts", keys, [], answers.counted)


def limit(keys: QueueKeys, fields: Mapping[str, object]) -> Call[int]:
    """Set what operators say of a queue or its tenants; an empty value clears. How many fields changed in kind."""
    args: list[object] = []
    for field, value in fields.items():
        args += (field, value)
    return _call("limit", keys, args, answers.whole)


def turn(
    keys: QueueKeys, start: str = "", limit: int = MAX_BY_HAND, *, max_active: int = 0, rate: str = "0"
) -> Call[str]:
    """Give a turn to up to `limit` tenants with held jobs that may start some; where to go on, empty at the end."""
    return _call("turn", keys, [start, limit, max_active, rate], answers.text)


def heads(keys: QueueKeys, ids: Sequence[str]) -> Call[list[Head]]:
    """What a list shows of up to `MAX_HEADS` jobs, one each."""
    return _call("heads", keys, list(ids), answers.exactly(len(ids), answers.heads))


def causes(keys: QueueKeys, ids: Sequence[str]) -> Call[list[tuple[str, str]]]:
    """Tenant and cause of up to `MAX_HEADS` jobs, one each; a cause is a fingerprint, `crash`, or empty for none."""
    return _call("causes", keys, list(ids), answers.exactly(len(ids), answers.causes))


def plain(command: Sequence[object], parse: Callable[[object], T]) -> Call[T]:
    """A plain command."""
    return Call("", command, parse)


def server_ms() -> Call[int]:
    """The server's time, in ms since 1970."""
    return plain(["TIME"], answers.now_ms)


def command(*parts: object) -> Call[object]:
    """A plain command whose reply is of no interest, or is looked at as it is."""
    return plain(parts, lambda reply: reply)


def state_of(part: str) -> State:
    """The state whose jobs a structure holds."""
    return next(state for state, name in LISTS.items() if name == part)


def _call(
    name: str, keys: QueueKeys, args: Sequence[object], parse: Callable[[object], T], **own: str
) -> Call[T]:
    return Call(name, args, parse, _keys(name, keys, own))


def _keys(name: str, keys: QueueKeys, own: Mapping[str, str] | None = None) -> tuple[object, ...]:
    """The number of a script's keys, and the keys; remembered, for a producer's sake, where none is the call's own."""
    known = keys.remembered.get(name)
    if known is None:
        wanted = SCRIPT_KEYS[name]
        known = (len(wanted), *[(own or {}).get(part) or keys[part] for part in wanted])
        if not own:
            keys.remembered[name] = known
    return known


# ---- replies: lists of bytes, as the driver gives them ---------------------------------------------------------
