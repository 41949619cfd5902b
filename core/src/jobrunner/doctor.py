"""What is wrong, or will be: the server's settings, the workers, and whether the store is of one piece.

Most lost jobs of other systems end in one of these. Everything here only reads, unless it is told to put jobs
back in their place, which `repair` does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator

import msgspec

from jobrunner.admin import Admin
from jobrunner.audit import Finding, Progress, audit, findings
from jobrunner.errors import StoreCorruptError, StoreError
from jobrunner.repair import repair
from jobrunner.store import calls, server
from jobrunner.store.server import Server
from jobrunner.views import QueueStats

SLOW_MS = 10.0
"""Milliseconds to the store and back from which it counts as slow: more than most networks need within a site."""

SKEW_MS = 2000
"""Milliseconds between a worker's clock and the store's that people should know of; nothing relies on them."""

NEARLY_FULL = 0.8


async def examine(
    admin: Admin, *, deep: bool = True, fix: bool = False, progress: Progress = lambda *_: None
) -> AsyncIterator[Finding]:
    """Look at everything, the most important first.

    Args:
        admin: The store.
        deep: Whether to walk through every job.
        fix: Whether to put right what is wrong with a queue's jobs, before it is judged.
        progress: Told what is looked at.
    """
    nodes, took_ms = await _reached(admin)
    for node in nodes:
        for finding in _server(node, took_ms):
            where = f"{finding.about} (port {node.port})" if len(nodes) > 1 else finding.about
            yield msgspec.structs.replace(finding, about=where)
    async for finding in _workers(admin):
        yield finding
    for stats in await _numbers(admin):
        if isinstance(stats, Finding):
            yield stats
        elif (stats.waiting or stats.delayed) and not stats.workers:
            yield Finding(
                level="warning",
                about=f"queue {stats.name}",
                text=f"{stats.waiting + stats.delayed:,} jobs wait and no worker serves it; start one with `jobrunner run`",
            )
    for name in (await admin.declarations()) if deep else ():
        try:
            if fix:
                async for finding in repair(admin, name, progress):
                    yield finding
            for finding in findings(await audit(admin, name, progress)):
                yield finding
        except StoreError as error:
            yield Finding(level="error", about=f"queue {name}", text=str(error))


async def _numbers(admin: Admin) -> list[QueueStats | Finding]:
    """Every queue's numbers, or why they cannot be had: one that is broken keeps nobody from the others."""
    try:
        return list(await admin.stats())
    except StoreCorruptError:
        pass
    found: list[QueueStats | Finding] = []
    for name in await admin.declarations():
        try:
            found += await admin.stats([name])
        except StoreCorruptError as error:
            found.append(Finding(level="error", about=f"queue {name}", text=str(error)))
    return found


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
    found.append(_persistence(about))
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


def _persistence(about: Server) -> Finding:
    if not about.aof:
        text = "appendonly is off: a crash of the server loses what came after its last snapshot; set appendonly yes"
        if about.replicas:
            text = (
                "appendonly is off: a server that is started again comes back without what it had, and if it is promoted "
                "then, its replicas lose it too; set appendonly yes on all of them"
            )
        return Finding(level="warning", about="persistence", text=text)
    if not about.aof_ok:
        text = "the last write of the append-only file failed; is the disk full?"
        return Finding(level="error", about="persistence", text=text)
    return Finding(level="ok", about="persistence", text="appendonly is on")


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
