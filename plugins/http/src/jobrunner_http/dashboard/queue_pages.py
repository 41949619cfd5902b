"""The pages about one queue: its numbers and jobs, and what its payloads are made of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import msgspec
from litestar import Response, get

from jobrunner.declaration import Declaration
from jobrunner.errors import InvalidNameError
from jobrunner.model import State
from jobrunner.names import check_tenant
from jobrunner.views import Minute, QueueStats
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import Ask, By, Named, OnSite
from jobrunner_http.dashboard import charts, phrases
from jobrunner_http.dashboard.rendering import OnPages
from jobrunner_http.dashboard.schemas import fields_of
from jobrunner_http.door import open_to
from jobrunner_http.site import Site

PAGE = 25
"""Jobs of one page."""

TENANTS = 20
"""Tenants that a queue's page tells of."""

LIMITS = 40
"""Limits that a queue's page tells of."""

LOOKED_FOR = (
    *(State.ACTIVE, State.WAITING, State.FAILED, State.DELAYED, State.PARKED, State.COMPLETED),
    State.CANCELLED,
)
"""Which state's jobs are shown where none is asked for: the first one that has any."""


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What was typed into a form that was not taken: it comes back with what is wrong, so that nobody types it again."""

    form: str
    """`limit` or `pause`."""
    wrong: str
    field: str
    """The input that is wrong."""
    tenant: str = ""
    limit: str = ""
    value: str = ""


@get("/queues/{queue:str}", opt=open_to(Role.VIEWER))
async def queue_page(site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named) -> Response[bytes]:
    """Show a queue: how it is, and its jobs of one state."""
    return pages.show(request, "queue.html", await queue_data(site, caller, queue, request.query_params))


async def queue_data(
    site: Site, caller: Caller, queue: str, asked: Mapping[str, str], draft: Draft | None = None
) -> dict[str, object]:
    """What a queue's page shows.

    Args:
        site: What all requests share.
        caller: Whoever looks.
        queue: The queue.
        asked: What the address asks for: `state`, `tenant`, `after`, `range`.
        draft: What a form on it was sent with, where that was not taken.

    Raises:
        UnknownQueueError: There is no such queue for the caller.
    """
    back = asked.get("range", "1h")
    back = back if back in charts.RANGES else "1h"
    last, each = charts.RANGES[back]
    (stats,) = await site.looking.stats(caller, queue)
    state, tenant = _state(asked.get("state", ""), stats), asked.get("tenant", "").strip()[:128]
    after, wrong = asked.get("after", "")[:500], ""
    if tenant:
        try:
            check_tenant(tenant)
        except InvalidNameError as error:
            wrong, tenant = str(error), ""
    page, minutes, tenants, about, bounds = await asyncio.gather(
        site.looking.jobs(caller, queue, state, limit=PAGE, after=after, tenant=tenant),
        _minutes(site, caller, queue, last),
        site.looking.tenants(caller, queue, most=TENANTS),
        _about(site, caller, queue),
        site.looking.limits(caller, queue),
    )
    numbers = charts.numbers_of(stats)
    return {
        "queue": queue,
        "draft": draft,
        "stats": stats,
        "numbers": numbers,
        "parts": charts.parts(numbers),
        "state": state.value,
        "tenant": tenant,
        "wrong": wrong,
        "after": after,
        "page": page,
        "back": back,
        "throughput": charts.chart([minutes], "completed", "", each=each) if minutes else None,
        "failures": charts.chart([minutes], "failed", "retried", each=each) if minutes else None,
        "tenants": [(one, charts.parts(_ordered(one.jobs))) for one in tenants],
        "about": about,
        "limits": bounds.limits[:LIMITS],
        "limits_left": max(0, len(bounds.limits) - LIMITS),
        "held": bounds.held,
        "limit_names": phrases.LIMITS,
        "clearable": [one for one in numbers if one != State.ACTIVE and numbers[one]],
    }


@get("/queues/{queue:str}/schema", opt=open_to(Role.VIEWER))
async def schema_page(
    site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named
) -> Response[bytes]:
    """Show what a queue's payloads are made of."""
    schema = await site.looking.schema(caller, queue)
    about = await _about(site, caller, queue)
    data = {"queue": queue, "about": about, "schema": schema, "groups": fields_of(schema)}
    return pages.show(request, "schema.html", data)


def _state(asked: str, stats: QueueStats) -> State:
    with contextlib.suppress(ValueError):
        return State(asked)
    numbers = charts.numbers_of(stats)
    return next((state for state in LOOKED_FOR if numbers[state]), State.WAITING)


def _ordered(jobs: dict[str, int]) -> dict[str, int]:
    return {state.value: jobs[state.value] for state in charts.ORDER}


async def _minutes(site: Site, caller: Caller, queue: str, last: int) -> list[Minute] | None:
    return None if caller.is_limited else (await site.looking.minutes(caller, queue, last))[queue]


async def _about(site: Site, caller: Caller, queue: str) -> Declaration:
    return (await site.looking.queues(caller))[queue]


HANDLERS = (queue_page, schema_page)
