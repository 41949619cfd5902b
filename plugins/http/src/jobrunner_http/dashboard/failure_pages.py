"""The pages about failures, grouped by their causes: of one queue, and of the queues that have the most."""

from __future__ import annotations

import asyncio

from litestar import Response, get

from jobrunner_http.access import Role
from jobrunner_http.api.asking import Ask, By, Named, OnSite
from jobrunner_http.dashboard.rendering import OnPages
from jobrunner_http.door import open_to

QUEUES = 12
"""Queues whose causes are looked for on one page: those with the most failures."""

LOOK = 500
"""Failures of each that are looked at on the page about all queues, the newest."""


@get("/failures", opt=open_to(Role.VIEWER))
async def failures_page(site: OnSite, pages: OnPages, caller: By, request: Ask) -> Response[bytes]:
    """Show the failures of the queues that have the most, by cause."""
    stats = [one for one in await site.looking.stats(caller) if one.failed]
    stats.sort(key=lambda one: (-one.failed, one.name))
    found = await asyncio.gather(
        *(site.looking.causes(caller, one.name, look=LOOK) for one in stats[:QUEUES])
    )
    data = {
        "queue": "",
        "groups": [(one.name, one.failed, causes) for one, causes in zip(stats, found, strict=False)],
        "total": sum(one.failed for one in stats),
        "causes": sum(len(one.causes) for one in found),
        "rest": stats[QUEUES:],
    }
    return pages.show(request, "failures.html", data)


@get("/queues/{queue:str}/failures", opt=open_to(Role.VIEWER))
async def queue_failures_page(
    site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named
) -> Response[bytes]:
    """Show a queue's failures by cause."""
    (stats,) = await site.looking.stats(caller, queue)
    causes = await site.looking.causes(caller, queue)
    groups = [(queue, stats.failed, causes)] if stats.failed else []
    data = {
        "queue": queue,
        "groups": groups,
        "total": stats.failed,
        "causes": len(causes.causes),
        "rest": [],
    }
    return pages.show(request, "failures.html", data)


HANDLERS = (failures_page, queue_failures_page)
