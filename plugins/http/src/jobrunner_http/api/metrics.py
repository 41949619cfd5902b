"""Routes for machines that watch: the metrics, and one number for autoscalers."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from jobrunner_http.access import Role
from jobrunner_http.api.asking import By, OnSite
from jobrunner_http.api.describing import problems
from jobrunner_http.door import open_to
from jobrunner_http.metrics import MEDIA_TYPE, exposition, read
from jobrunner_http.problems import not_found


class Backlog(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much there is to do."""

    value: int
    """Jobs that wait or run."""
    waiting: int
    active: int


Queues = Annotated[
    list[str] | None, QueryParameter(description="Of these queues only; it may be said several times.")
]


@get(
    "/metrics",
    opt=open_to(Role.METRICS),
    tags=["metrics"],
    responses={
        200: ResponseSpec(
            str, generate_examples=False, media_type="text/plain", description="The text form."
        ),
        **problems(404),
    },
)
async def metrics(site: OnSite, caller: By) -> Response[bytes]:
    """Give the metrics in Prometheus' text form; not for tokens that are held to some tenants."""
    if site.settings.metrics_port:
        raise not_found("the metrics have a port of their own here")
    site.looking.check_unlimited(caller, "metrics are of all tenants together")
    names = None if caller.queues is None else list(await site.looking.queues(caller))
    return Response(exposition(await read(site.admin, names)), media_type=MEDIA_TYPE)


@get("/api/backlog", opt=open_to(Role.METRICS), tags=["metrics"], responses=problems(404))
async def backlog(site: OnSite, caller: By, queue: Queues = None) -> Backlog:
    """Give the number of jobs that wait or run, of some queues or all: what an autoscaler divides by a worker's share."""
    stats = [await site.looking.stats(caller, name) for name in dict.fromkeys(queue or ())]
    found = [one for part in stats for one in part] if queue else await site.looking.stats(caller)
    waiting, active = sum(one.waiting for one in found), sum(one.active for one in found)
    return Backlog(value=waiting + active, waiting=waiting, active=active)


HANDLERS = (metrics, backlog)
