"""The pages about everything: overview, workers, plugins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec
from litestar import Response, get

from jobrunner.views import Health, Minute, QueueStats, WorkerView
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import Ask, By, OnSite
from jobrunner_http.dashboard import charts
from jobrunner_http.dashboard.rendering import OnPages
from jobrunner_http.door import open_to
from jobrunner_http.site import Site

MAX_QUEUES = 500
"""Rows of the table of queues; the find box narrows it."""

MAX_ALERTS = 30

RANGES = ("1h", "3h")
"""What its charts may go back to: each hour is 60 counters of every queue."""

LAG_MS = 1000
"""Milliseconds of lag of a worker's loop from which it is pointed out."""

SKEW_MS = 5000
"""Milliseconds between a worker's clock and the store's from which it is pointed out."""

SORTS = ("name", "waiting", "active", "failed", "oldest")


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table of queues."""

    stats: QueueStats
    numbers: dict[str, int]
    parts: list[charts.Part]
    spark: str
    lately: int | None
    """Jobs that ended within the chart's time."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at: the queue that it is about, or none."""

    text: str
    queue: str = ""
    urgent: bool = False


@get("/", opt=open_to(Role.VIEWER))
async def overview(site: OnSite, pages: OnPages, caller: By, request: Ask) -> Response[bytes]:
    """Show how everything is."""
    asked = request.query_params
    back = asked.get("range", "1h")
    back = back if back in RANGES else "1h"
    sort = asked.get("sort", "name")
    sort = sort if sort in SORTS else "name"
    find = asked.get("find", "")[:64]
    last, each = charts.RANGES[back]
    health, minutes, workers = await asyncio.gather(
        site.looking.health(caller), _minutes(site, caller, last), _workers(site, caller)
    )
    rows = [
        _row(stats, minutes, each) for stats in health.queues if find.strip().lower() in stats.name.lower()
    ]
    rows.sort(key=lambda row: _place(row.stats, sort))
    sums = [charts.numbers_of(stats) for stats in health.queues]
    data = {
        "health": health,
        "alerts": alerts(health, workers)[:MAX_ALERTS],
        "numbers": {state: sum(one[state] for one in sums) for state in sums[0]} if sums else {},
        "oldest": max((stats.oldest_waiting_ms or -1 for stats in health.queues), default=-1),
        "rows": rows[:MAX_QUEUES],
        "left_out": max(0, len(rows) - MAX_QUEUES),
        "find": find,
        "sort": sort,
        "back": back,
        "throughput": charts.chart(minutes.values(), "completed", "", each=each) if minutes else None,
        "failures": charts.chart(minutes.values(), "failed", "retried", each=each) if minutes else None,
        "workers": workers,
    }
    return pages.show(request, "overview.html", data)


@get("/workers", opt=open_to(Role.VIEWER))
async def workers_page(site: OnSite, pages: OnPages, caller: By, request: Ask) -> Response[bytes]:
    """Show the workers."""
    found = await site.looking.workers(caller)
    return pages.show(request, "workers.html", {"workers": found, "lag_ms": LAG_MS, "skew_ms": SKEW_MS})


@get("/plugins", opt=open_to(Role.VIEWER))
async def plugins_page(site: OnSite, pages: OnPages, caller: By, request: Ask) -> Response[bytes]:
    """Show what is installed here, and which queues are known from workers only."""
    declared = await site.looking.queues(caller)
    installed = [
        (plugin, [declared[name] for name in plugin.queues if name in declared]) for plugin in site.plugins
    ]
    if caller.queues is not None:
        installed = [(plugin, queues) for plugin, queues in installed if queues]
    data = {
        "installed": installed,
        "elsewhere": [about for name, about in declared.items() if site.plugins.owner(name) is None],
        "broken": site.plugins.failures if caller.queues is None and not caller.is_limited else {},
    }
    return pages.show(request, "plugins.html", data)


def alerts(health: Health, workers: Sequence[WorkerView] | None) -> list[Alert]:
    """What to look at, what stands still first."""
    known = {stats.name for stats in health.queues}
    found = []
    for problem in health.problems:
        name, _, text = problem.partition(": ")
        queue = name if name in known else ""
        found.append(
            Alert(
                text=text if queue else problem,
                queue=queue,
                urgent="wait and no worker" in problem or "waits and no worker" in problem,
            )
        )
    for worker in workers or ():
        if not worker.alive:
            found.append(Alert(text=f"worker {worker.id} says nothing any more", urgent=worker.held > 0))
        elif worker.abandoned:
            found.append(
                Alert(text=f"worker {worker.id} left {worker.abandoned:,} handlers behind that still run")
            )
        elif worker.loop_lag_ms >= LAG_MS:
            found.append(Alert(text=f"a handler holds the loop of worker {worker.id}"))
        elif abs(worker.clock_skew_ms) >= SKEW_MS:
            found.append(Alert(text=f"the clock of worker {worker.id} is off"))
    return sorted(found, key=lambda alert: not alert.urgent)


def _row(stats: QueueStats, minutes: Mapping[str, Sequence[Minute]] | None, each: int) -> QueueRow:
    numbers = charts.numbers_of(stats)
    series = (minutes or {}).get(stats.name)
    return QueueRow(
        stats=stats,
        numbers=numbers,
        parts=charts.parts(numbers),
        spark=charts.spark(series, each=each) if series else "",
        lately=None if series is None else sum(one.completed + one.failed for one in series),
    )


def _place(stats: QueueStats, sort: str) -> tuple[int, str]:
    key = {
        "waiting": stats.waiting,
        "active": stats.active,
        "failed": stats.failed,
        "oldest": stats.oldest_waiting_ms or -1,
    }.get(sort, 0)
    return -key, stats.name


async def _minutes(site: Site, caller: Caller, last: int) -> dict[str, list[Minute]] | None:
    return None if caller.is_limited else await site.looking.minutes(caller, None, last)


async def _workers(site: Site, caller: Caller) -> list[WorkerView] | None:
    return None if caller.is_limited else await site.looking.workers(caller)


HANDLERS = (overview, workers_page, plugins_page)
