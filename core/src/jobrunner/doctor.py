"""What is wrong, or will be: the server's settings, the workers, and whether the store is of one piece.

Most lost jobs of other systems end in one of these. Everything here only reads; the walk through a queue's jobs
is done in bounded steps.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from jobrunner.admin import Admin
from jobrunner.errors import StoreError
from jobrunner.model import State
from jobrunner.record import decode_record
from jobrunner.store import calls, server
from jobrunner.store.keys import LISTS, QueueKeys
from jobrunner.store.server import Server

SLOW_MS = 10.0
"""Milliseconds to the store and back from which it counts as slow: more than most networks need within a site."""

SKEW_MS = 2000
"""Milliseconds between a worker's clock and the store's that people should know of; nothing relies on them."""

NEARLY_FULL = 0.8
STEP = 500

Progress = Callable[[str, int, int], None]
"""Told the queue that is looked at, how many jobs of it were, and how many it has."""


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of the doctor: `ok`, `warning` or `error`, about what, and what to do."""

    level: str
    about: str
    text: str


async def examine(
    admin: Admin, *, deep: bool = True, progress: Progress = lambda *_: None
) -> AsyncIterator[Finding]:
    """Look at everything, the most important first.

    Args:
        admin: The store.
        deep: Whether to walk through every job.
        progress: Told what is looked at.
    """
    nodes, took_ms = await _reached(admin)
    for node in nodes:
        for finding in _server(node, took_ms):
            where = f"{finding.about} (port {node.port})" if len(nodes) > 1 else finding.about
            yield msgspec.structs.replace(finding, about=where)
    async for finding in _workers(admin):
        yield finding
    for stats in await admin.stats():
        if (stats.waiting or stats.delayed) and not stats.workers:
            yield Finding(
                level="warning",
                about=f"queue {stats.name}",
                text=f"{stats.waiting + stats.delayed:,} jobs wait and no worker serves it; start one with `jobrunner run`",
            )
    for name in (await admin.declarations()) if deep else ():
        async for finding in audit(admin, name, progress):
            yield finding


async def _reached(admin: Admin) -> tuple[list[Server], float]:
    """The server, or each node of a cluster that owns slots, and the milliseconds there and back."""
    nodes = await admin.store.run_everywhere(server.info())
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        await admin.store.run(calls.command("PING"))
        times.append((time.perf_counter() - begun) * 1000)
    return nodes, sorted(times)[2]


def _server(about: Server, took_ms: float) -> list[Finding]:
    found = [
        Finding(
            level="error" if about.too_old else "ok",
            about="server",
            text=f"{about.title}, up {about.uptime_s // 3600} h, {about.clients} clients"
            + ("; it is too old: Redis 6.2 or Valkey 7.2 is needed" if about.too_old else ""),
        ),
        Finding(
            level="warning" if took_ms > SLOW_MS else "ok",
            about="latency",
            text=f"{took_ms:.2f} ms to the store and back"
            + ("; workers wait for it at every exchange" if took_ms > SLOW_MS else ""),
        ),
    ]
    found.append(_policy(about))
    found.append(_memory(about))
    if not about.aof:
        text = "appendonly is off: a crash of the server loses what came after its last snapshot; set appendonly yes"
        found.append(Finding(level="warning", about="persistence", text=text))
    elif not about.aof_ok:
        found.append(
            Finding(
                level="error",
                about="persistence",
                text="the last write of the append-only file failed; is the disk full?",
            )
        )
    else:
        found.append(Finding(level="ok", about="persistence", text="appendonly is on"))
    if not about.rdb_ok:
        text = "the last snapshot failed, and the server refuses writes until one succeeds (MISCONF); is the disk full?"
        found.append(Finding(level="error", about="snapshots", text=text))
    if about.role not in ("master", ""):
        found.append(
            Finding(
                level="error",
                about="role",
                text=f"this server is a {about.role}: it takes no writes; connect to the primary",
            )
        )
    return found


def _memory(about: Server) -> Finding:
    most = about.max_memory or about.machine_memory
    nearly_full = bool(most) and about.used_memory > NEARLY_FULL * most
    used = f"{about.used_memory / 2**20:,.1f} MiB"
    if about.max_memory:
        text = f"{used} used, {about.used_memory / most:.0%} of maxmemory"
        if nearly_full:
            text += "; at 100 % producers are refused, while workers go on and make room"
    elif nearly_full:
        text = f"{used} used of the machine's {most / 2**20:,.0f} MiB, and maxmemory is not set: the system will kill the "
        text += "server when there is no more; set maxmemory, and producers are refused before that"
    else:
        text = f"{used} used; maxmemory is not set, so the server takes what the machine has"
    return Finding(level="warning" if nearly_full else "ok", about="memory", text=text)


def _policy(about: Server) -> Finding:
    if about.evicts:
        return Finding(
            level="error",
            about="maxmemory-policy",
            text=f"it is {about.policy}: when memory is full the server throws keys away, and with them all jobs of a queue at "
            "once. `CONFIG SET maxmemory-policy noeviction`; workers refuse to start until then",
        )
    if not about.policy:
        return Finding(
            level="warning",
            about="maxmemory-policy",
            text="the server does not tell it; it must be noeviction",
        )
    return Finding(level="ok", about="maxmemory-policy", text="noeviction")


async def _workers(admin: Admin) -> AsyncIterator[Finding]:
    workers = await admin.workers()
    alive = [report for report, is_alive in workers if is_alive]
    yield Finding(
        level="ok" if alive else "warning",
        about="workers",
        text=f"{len(alive)} alive" if alive else "none is alive",
    )
    for report, is_alive in workers:
        if not is_alive:
            text = "it has not reported for 20 s: it is dead, frozen, or cannot reach the store; its jobs are taken over"
            yield Finding(level="warning", about=f"worker {report.id}", text=text)
        if abs(report.clock_skew_ms) > SKEW_MS:
            text = f"its clock is {report.clock_skew_ms / 1000:+.1f} s off the store's; jobs are not touched by that, log lines are"
            yield Finding(level="warning", about=f"worker {report.id}", text=text)
        if report.abandoned:
            text = f"{report.abandoned} handlers did not end when they were told to, and still run"
            yield Finding(level="warning", about=f"worker {report.id}", text=text)
    versions: dict[str, Counter[str]] = {}
    for report in alive:
        versions.setdefault("jobrunner-core", Counter())[report.version] += 1
        for name, version in report.plugins.items():
            versions.setdefault(f"plugin {name}", Counter())[version] += 1
    for name, found in versions.items():
        if len(found) > 1:
            text = "workers disagree: " + ", ".join(
                f"{version or 'no version'} on {number}" for version, number in found.items()
            )
            yield Finding(level="warning", about=name, text=f"{text}; fine while a deploy is under way")


async def audit(admin: Admin, queue: str, progress: Progress = lambda *_: None) -> AsyncIterator[Finding]:
    """Whether a queue is of one piece: each record in one list, each entry with a record, each lease with its worker,
    the tally as it should be. Jobs that move meanwhile are looked at once more before anything is said of them.
    """
    keys = admin.store.keys(queue)
    lost, twice, tally = [], [], Counter[str]()
    number, looked_at = (await admin.store.run(calls.counts(keys))).total, 0
    progress(queue, 0, number)
    try:
        async for some in _records(admin, keys):
            for job_id, states in (await _settled(admin, keys, list(some))).items():
                lost += [] if states else [job_id]
                twice += [job_id] if len(states) > 1 else []
                if len(states) == 1 and (tenant := decode_record(some[job_id]).tenant):
                    tally[f"{states[0].value}|{tenant}"] += 1
            looked_at += len(some)
            progress(queue, looked_at, max(number, looked_at))
        empty = [job_id async for job_id in _without_record(admin, keys)]
        orphans = [job_id async for job_id in _without_worker(admin, keys)]
        wrong = await _tally_differs(admin, keys, tally)
    except StoreError as error:
        yield Finding(level="error", about=f"queue {queue}", text=str(error))
        return
    about = f"queue {queue}"
    for level, ids, what in (
        ("error", lost, "jobs have a record and are in no list, so they would never run"),
        ("error", twice, "jobs are in two lists at once"),
        ("error", empty, "entries stand in a list without a record"),
        (
            "warning",
            orphans,
            "jobs are leased by workers that are gone; a worker of the queue takes them over",
        ),
    ):
        if ids:
            names = ", ".join(ids[:3]) + (" ..." if len(ids) > 3 else "")
            yield Finding(level=level, about=about, text=f"{what}: {len(ids):,} ({names})")
    if not (lost or twice or empty):
        yield Finding(level="ok", about=about, text="every job is in its place")
    if wrong:
        text = f"the counts by tenant are off for {', '.join(wrong[:3])}; they are right again when those jobs are gone"
        yield Finding(level="warning", about=about, text=text)


async def _records(admin: Admin, keys: QueueKeys) -> AsyncIterator[dict[str, bytes]]:
    """All records, some at a time; one may come twice while the queue changes."""
    async for flat in _walk(admin, "HSCAN", keys["jobs"]):
        yield {flat[at].decode(): flat[at + 1] for at in range(0, len(flat), 2)}


async def _walk(admin: Admin, scan: str, key: str) -> AsyncIterator[list[bytes]]:
    """A hash or a sorted set in bounded steps, names and values in turn."""
    cursor: object = b"0"
    while True:
        cursor, flat = await admin.store.run(calls.plain([scan, key, cursor, "COUNT", STEP], _scan))
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
        reads = [calls.plain(["ZMSCORE", keys[name], *part], _listed) for name in LISTS.values()]
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
            ids = [job_id.decode() for job_id in flat[::2]]
            there = await _there(admin, keys["jobs"], ids)
            for job_id in ids:
                if job_id in there:
                    continue
                still = await admin.store.run(calls.command(read, keys[part], job_id))
                if still:
                    yield job_id


async def _without_worker(admin: Admin, keys: QueueKeys) -> AsyncIterator[str]:
    """Jobs whose lease is a worker's that does not report, and still is when one has looked again."""
    async for flat in _walk(admin, "HSCAN", keys["lease"]):
        alive = {report.id for report, is_alive in await admin.workers() if is_alive}
        for name, lease in zip(flat[::2], flat[1::2], strict=True):
            if _holder(lease) not in alive:
                again = await admin.store.run(calls.command("HGET", keys["lease"], name))
                if again == lease:
                    yield name.decode()


def _holder(lease: bytes) -> str:
    """The worker of a lease: `nonce tenant worker since`, and a line with the reason of a stop."""
    words = lease.partition(b"\n")[0].decode("utf-8", "replace").split(" ")
    return words[2] if len(words) > 2 else ""


async def _tally_differs(admin: Admin, keys: QueueKeys, counted: Counter[str]) -> list[str]:
    """The tally's fields that are off; only where nothing moved meanwhile can that be told."""
    before = await admin.store.run(calls.counts(keys))
    if before.active or sum(counted.values()) > before.total:
        return []
    kept = await admin.store.run(calls.plain(["HGETALL", keys["tally"]], _numbers))
    return sorted(name for name in {*kept, *counted} if kept.get(name, 0) != counted[name])


def _scan(reply: object) -> tuple[object, list[bytes]]:
    assert isinstance(reply, (list, tuple))
    cursor, flat = reply
    return cursor, [part if isinstance(part, bytes) else str(part).encode() for part in flat]


def _listed(reply: object) -> list[object]:
    assert isinstance(reply, list)
    return reply


def _numbers(reply: object) -> dict[str, int]:
    assert isinstance(reply, list)
    return {name.decode(): int(count) for name, count in zip(reply[::2], reply[1::2], strict=True)}
