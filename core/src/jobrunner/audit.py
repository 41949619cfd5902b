"""Whether a queue is of one piece: every job in one place, with its record, its lease, its entry in the tally.

It only reads, in bounded steps, while jobs move: what looks wrong is looked at once more before it counts. What
is found says which jobs, so that `repair` can put them right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

import msgspec

from jobrunner.admin import Admin
from jobrunner.errors import StoreCorruptError
from jobrunner.model import State
from jobrunner.record import decode_record
from jobrunner.store import answers, calls, looks
from jobrunner.store.answers import Counts
from jobrunner.store.keys import LISTS, QueueKeys

STEP = 500
"""Entries that one read looks at."""

FEW = 50
"""The same of hashes with long values: journals, steps, log lines."""

LEFTOVERS = ("attempts", "state", "steps", "progress", "logs")
"""What is kept with a job and goes with it."""

NAME = 100
"""Characters of a name that a finding shows."""

_HEAD = re.compile(rb'\[[0-9]+,[0-9]+,"([^"]*)",')

Progress = Callable[[str, int, int], None]
"""Told the queue that is looked at, how many jobs of it were, and how many it has."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of the doctor: `ok`, `warning`, `error` or `fixed`, about what, and what to do."""

    level: str
    about: str
    text: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a queue, by the ids of its jobs.

    Attributes:
        queue: The queue's name.
        lost: They have a record and are in no list.
        twice: They are in several lists.
        unreadable: Their record is none.
        empty: They are in a list, or leased, and have no record.
        unleased: They are active and nobody has a lease.
        stray: They are leased and not active.
        leftovers: Something is kept of them, and they have no record.
        apart: They are held for their tenant in one list and not in the other.
        held: Entries of `held` that stand for no parked job.
        orphans: They are leased by workers that are gone: id -> the lease.
        tally: Fields of the tally that are off: name -> as it is (None if not there), as it should be.
        moving: Jobs moved meanwhile, so the tally could not be judged.
    """

    queue: str
    lost: Sequence[str] = ()
    twice: Sequence[str] = ()
    unreadable: Sequence[str] = ()
    empty: Sequence[str] = ()
    unleased: Sequence[str] = ()
    stray: Sequence[str] = ()
    leftovers: Sequence[str] = ()
    apart: Sequence[str] = ()
    held: Sequence[bytes] = ()
    orphans: Mapping[str, bytes] = {}
    tally: Mapping[str, tuple[int | None, int]] = {}
    moving: bool = False

    @property
    def misplaced(self) -> list[str]:
        """The jobs that a repair has to look at, each once."""
        return list(
            dict.fromkeys(
                [
                    *(*self.lost, *self.twice, *self.empty, *self.unleased, *self.stray),
                    *(*self.leftovers, *self.apart),
                ]
            )
        )


async def audit(admin: Admin, queue: str, progress: Progress = lambda *_: None) -> Audit:
    """Look at every job of a queue.

    Args:
        admin: The store.
        queue: The queue's name.
        progress: Told how far it is.

    Raises:
        StoreError: The store does not answer, or a key holds what is not ours.
    """
    keys = admin.store.keys(queue)
    before = await _moment(admin, keys)
    lost, twice, unreadable, tally = [], [], list[str](), Counter[str]()
    number, looked_at = before.counts.total, 0
    progress(queue, 0, number)
    async for some in _records(admin, keys):
        for job_id, states in (await _settled(admin, keys, list(some))).items():
            lost += [] if states else [job_id]
            twice += [job_id] if len(states) > 1 else []
            if not _is_readable(some[job_id]):
                unreadable.append(job_id)
            if len(states) == 1 and (tenant := _tenant(some[job_id])):
                tally[f"{states[0].value}|{tenant}"] += 1
        looked_at += len(some)
        progress(queue, looked_at, max(number, looked_at))
    empty = [job_id async for job_id in _without_record(admin, keys)]
    leftovers = [job_id async for job_id in _leftovers(admin, keys)]
    unleased = [job_id async for job_id in _one_without_other(admin, keys, "active", "lease")]
    stray = [job_id async for job_id in _one_without_other(admin, keys, "lease", "active")]
    held = [entry async for entry in _held_for_nobody(admin, keys)]
    apart = [job_id async for job_id in _held_by_none(admin, keys)]
    orphans = {job_id: lease async for job_id, lease in _without_worker(admin, keys)}
    moving = await _moment(admin, keys) != before
    wrong = {name: (before.tally.get(name), tally[name]) for name in sorted({*before.tally, *tally})}
    return Audit(
        queue=queue,
        lost=lost,
        twice=twice,
        unreadable=list(dict.fromkeys(unreadable)),
        empty=list(dict.fromkeys(empty)),
        unleased=[job_id for job_id in unleased if job_id not in {*empty, *twice}],
        stray=[job_id for job_id in stray if job_id not in {*empty, *lost, *twice}],
        leftovers=list(dict.fromkeys(job_id for job_id in leftovers if job_id not in set(empty))),
        apart=apart,
        held=held,
        orphans={name: lease for name, lease in orphans.items() if name not in {*empty, *stray}},
        tally={} if moving else {name: pair for name, pair in wrong.items() if (pair[0] or 0) != pair[1]},
        moving=moving,
    )


def findings(found: Audit) -> Iterator[Finding]:
    """What an audit found, as lines for people."""
    about = f"queue {found.queue}"
    for level, ids, what in (
        ("error", found.lost, "jobs have a record and are in no list, so they would never run"),
        ("error", found.twice, "jobs are in two lists at once"),
        ("error", found.empty, "entries stand in a list without a record"),
        ("error", found.unleased, "jobs are active and nobody has their lease"),
        ("error", found.stray, "leases are of jobs that are not active"),
        (
            "error",
            [*found.apart, *[answers.text(entry).rpartition(" ")[2] for entry in found.held]],
            "jobs are held for a tenant in one list and not in the other, so they would never run",
        ),
        (
            "error",
            found.unreadable,
            "jobs have a record that cannot be read, and fail when their turn comes",
        ),
        ("warning", found.leftovers, "steps, logs or counts are kept of jobs that are gone"),
        (
            "warning",
            list(found.orphans),
            "jobs are leased by workers that are gone; a worker of the queue takes them over",
        ),
    ):
        if ids:
            yield Finding(level=level, about=about, text=f"{what}: {listed(ids)}")
    if not found.misplaced and not found.held:
        yield Finding(level="ok", about=about, text="every job is in its place")
    if found.tally:
        names = list(found.tally)
        text = f"the counts by tenant are off for {_shown(names)}"
        yield Finding(
            level="warning", about=about, text=f"{text}; `jobrunner doctor --fix` counts them again"
        )


def listed(ids: Sequence[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(ids):,} ({_shown(ids)})"


def _shown(names: Sequence[str]) -> str:
    """The first names, as far as they can be read: somebody else may have chosen them."""
    first = [answers.readable(name[:NAME]) for name in names[:3]]
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in ", ".join(first))
    return f"{text} ..." if len(names) > 3 else text


class _Moment(msgspec.Struct, frozen=True):
    """What tells whether jobs moved between two looks: every script that moves some changes one of these."""

    counts: Counts
    tally: dict[str, int]
    stats: dict[str, bytes]


async def _moment(admin: Admin, keys: QueueKeys) -> _Moment:
    counts = msgspec.structs.replace(await admin.store.run(calls.counts(keys)), oldest_ms=0)
    tally = await admin.store.run(calls.plain(["HGETALL", keys["tally"]], _numbers))
    return _Moment(counts, tally, await admin.store.run(looks.hash_of(keys["stats"])))


async def _records(admin: Admin, keys: QueueKeys) -> AsyncIterator[dict[str, bytes]]:
    """All records, some at a time; one may come twice while the queue changes."""
    async for flat in _walk(admin, "HSCAN", keys["jobs"]):
        yield {answers.text(flat[at]): flat[at + 1] for at in range(0, len(flat), 2)}


async def _walk(admin: Admin, scan: str, key: str, step: int = STEP) -> AsyncIterator[list[bytes]]:
    """A hash or a sorted set in bounded steps, names and values in turn."""
    cursor: object = b"0"
    while True:
        cursor, flat = await admin.store.run(calls.plain([scan, key, cursor, "COUNT", step], _scan))
        yield flat
        if cursor in (b"0", 0):
            return


async def _settled(admin: Admin, keys: QueueKeys, ids: list[str]) -> dict[str, list[State]]:
    """The states that jobs are in; those that are not in one are looked at again, since they may have moved."""
    found = await _states(admin, keys, ids)
    if odd := [job_id for job_id, states in found.items() if len(states) != 1]:
        found |= await _states(admin, keys, odd)
        gone = [job_id for job_id in odd if not found[job_id]]
        there = await _there(admin, keys["jobs"], gone)
        for job_id in gone:
            if job_id not in there:
                del found[job_id]
    return found


async def _states(admin: Admin, keys: QueueKeys, ids: Sequence[str]) -> dict[str, list[State]]:
    found: dict[str, list[State]] = {job_id: [] for job_id in ids}
    for start in range(0, len(ids), STEP):
        part = ids[start : start + STEP]
        reads = [calls.plain(["ZMSCORE", keys[name], *part], answers.parts) for name in LISTS.values()]
        for state, scores in zip(LISTS, await admin.store.run_many(reads), strict=True):
            for job_id, score in zip(part, scores, strict=True):
                if score is not None:
                    found[job_id].append(state)
    return found


async def _there(admin: Admin, key: str, ids: Sequence[str]) -> set[str]:
    """Those of the ids that a hash has."""
    replies = await admin.store.run_many([calls.command("HEXISTS", key, job_id) for job_id in ids])
    return {job_id for job_id, reply in zip(ids, replies, strict=True) if reply}


async def _without_record(admin: Admin, keys: QueueKeys) -> AsyncIterator[str]:
    for part in (*LISTS.values(), "lease"):
        scan, read = ("HSCAN", "HEXISTS") if part == "lease" else ("ZSCAN", "ZSCORE")
        async for flat in _walk(admin, scan, keys[part]):
            ids = [answers.text(job_id) for job_id in flat[::2]]
            there = await _there(admin, keys["jobs"], ids)
            for job_id in ids:
                if job_id in there:
                    continue
                still = await admin.store.run(calls.command(read, keys[part], job_id))
                if still:
                    yield job_id


async def _leftovers(admin: Admin, keys: QueueKeys) -> AsyncIterator[str]:
    """Jobs of which something is kept without a record, and still is when one has looked again."""
    for part in LEFTOVERS:
        async for flat in _walk(admin, "HSCAN", keys[part], FEW):
            ids = [answers.text(job_id) for job_id in flat[::2]]
            odd = (
                [job_id for job_id in ids if job_id not in await _there(admin, keys["jobs"], ids)]
                if ids
                else []
            )
            still = await _there(admin, keys[part], odd)
            for job_id in still - await _there(admin, keys["jobs"], odd):
                yield job_id


async def _one_without_other(admin: Admin, keys: QueueKeys, one: str, other: str) -> AsyncIterator[str]:
    """Jobs that are in the one of `active` and `lease` and not in the other, and still are when one has looked again."""
    scan = {"active": "ZSCAN", "lease": "HSCAN"}
    has = {"active": "ZSCORE", "lease": "HEXISTS"}
    async for flat in _walk(admin, scan[one], keys[one]):
        ids = [answers.text(job_id) for job_id in flat[::2]]
        for _ in range(2):
            pairs = [calls.command(has[part], keys[part], job_id) for job_id in ids for part in (one, other)]
            replies = await admin.store.run_many(pairs)
            ids = [job_id for at, job_id in enumerate(ids) if replies[2 * at] and not replies[2 * at + 1]]
        for job_id in ids:
            yield job_id


async def _held_for_nobody(admin: Admin, keys: QueueKeys) -> AsyncIterator[bytes]:
    """Entries of `held` whose job is not parked under minus their order, and still is not when one has looked again."""
    async for flat in _walk(admin, "ZSCAN", keys["held"]):
        for entry in flat[::2]:
            _, _, place_and_id = entry.partition(b" ")
            place, _, job_id = place_and_id.partition(b" ")
            reads = [
                calls.command("ZSCORE", keys["held"], entry),
                calls.command("ZSCORE", keys["parked"], job_id),
            ]
            there, score = await admin.store.run_many(reads)
            if there is not None and (not isinstance(score, bytes) or -float(score) != _order(place)):
                yield entry


async def _held_by_none(admin: Admin, keys: QueueKeys) -> AsyncIterator[str]:
    """Jobs that are parked for their tenant and that `held` does not name, and still does not when one has looked again."""
    async for flat in _walk(admin, "ZSCAN", keys["parked"]):
        for name, score in zip(flat[::2], flat[1::2], strict=True):
            if (order := -float(score)) <= 0:
                continue
            record = await admin.store.run(calls.command("HGET", keys["jobs"], name))
            if not isinstance(record, bytes):
                continue
            entry = b"%s %016.0f %s" % (_tenant(record).encode(errors=answers.AS_IT_WAS), order, name)
            reads = [
                calls.command("ZSCORE", keys["held"], entry),
                calls.command("ZSCORE", keys["parked"], name),
            ]
            there, again = await admin.store.run_many(reads)
            if there is None and isinstance(again, bytes) and float(again) == float(score):
                yield answers.text(name)


async def _without_worker(admin: Admin, keys: QueueKeys) -> AsyncIterator[tuple[str, bytes]]:
    """Leases of workers that do not report, and still are when one has looked again."""
    async for flat in _walk(admin, "HSCAN", keys["lease"]):
        alive = {report.id for report, is_alive in await admin.workers() if is_alive}
        for name, lease in zip(flat[::2], flat[1::2], strict=True):
            if _holder(lease) not in alive:
                again = await admin.store.run(calls.command("HGET", keys["lease"], name))
                if again == lease:
                    yield answers.text(name), lease


def _order(place: bytes) -> float:
    """The order in an entry of `held`; one that no job has where it is no number."""
    try:
        return float(place)
    except ValueError:
        return -1.0


def _is_readable(record: bytes) -> bool:
    try:
        decode_record(record)
    except StoreCorruptError:
        return False
    return True


def _tenant(record: bytes) -> str:
    """The tenant that the scripts count a job under: they look at a record's first fields, and at no more of it."""
    head = _HEAD.match(record)
    return answers.text(head[1]) if head else ""


def _holder(lease: bytes) -> str:
    """The worker of a lease: `nonce tenant worker since`, and a line with the reason of a stop."""
    words = lease.partition(b"\n")[0].decode("utf-8", "replace").split(" ")
    return words[2] if len(words) > 2 else ""


def _scan(reply: object) -> tuple[object, list[bytes]]:
    cursor, flat = answers.parts(reply)
    return cursor, [part if isinstance(part, bytes) else str(part).encode() for part in flat]


def _numbers(reply: object) -> dict[str, int]:
    flat = answers.parts(reply)
    return {
        answers.text(name): answers.counter(count) for name, count in zip(flat[::2], flat[1::2], strict=True)
    }
