"""Routes about queues: health, numbers, charts, payload schemas, workers; pause, resume, clear."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import QueryParameter

from jobrunner.declaration import Declaration
from jobrunner.errors import StoreCorruptError, StoreError
from jobrunner.health import away
from jobrunner.model import State
from jobrunner.views import Causes, Health, Minute, QueueStats, WorkerView
from jobrunner_http import patterns
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import By, Named, OnSite, Said, taking
from jobrunner_http.api.describing import problems
from jobrunner_http.bodies import (
    Clearable,
    Cleared,
    LimitChange,
    QueueDetail,
    QueueLimits,
    QueueState,
)
from jobrunner_http.door import open_to
from jobrunner_http.problems import AWAY_RETRY_S, UNREADABLE
from jobrunner_http.site import Site

Minutes = Annotated[
    int, QueryParameter(ge=1, le=1440, description="How many minutes back, the one under way included.")
]

OneTenant = Annotated[
    str | None, QueryParameter(pattern=patterns.TENANT, description="Of this tenant only, in the queue.")
]
"""Not empty: a variable that a script forgot to set would pause the whole queue."""

OneState = Annotated[
    Clearable | None, QueryParameter(description="Of this state only; without it, all but those that run.")
]


@get("/api/health", opt=open_to(Role.VIEWER), tags=["health"], responses=problems())
async def overall_health(site: OnSite, caller: By) -> Response[Health]:
    """Say how the system is, its queues included; `unhealthy` is a 503."""
    return await _health(site, caller)


@get("/api/queue/health", opt=open_to(Role.VIEWER), tags=["health"], responses=problems())
async def queue_health(site: OnSite, caller: By) -> Response[Health]:
    """Say how the queues are: healthy, or degraded with what is wrong in plain words; `unhealthy` is a 503."""
    return await _health(site, caller)


@get("/api/queue/stats", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems())
async def all_stats(site: OnSite, caller: By) -> list[QueueStats]:
    """Give the numbers of all queues."""
    return await site.looking.stats(caller)


@get("/api/queue/stats/{queue:str}", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems(404))
async def stats(site: OnSite, caller: By, queue: Named) -> QueueStats:
    """Give the numbers of one queue."""
    (found,) = await site.looking.stats(caller, queue)
    return found


@get("/api/queue", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems())
async def queues(site: OnSite, caller: By) -> list[Declaration]:
    """List the queues as their workers and plugins declare them."""
    return list((await site.looking.queues(caller)).values())


@get("/api/queue/{queue:str}", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems(404))
async def queue_detail(site: OnSite, caller: By, queue: Named) -> QueueDetail:
    """Give a queue as it is declared, its limits and what operators set over them, and whose jobs are held and why."""
    return await site.looking.detail(caller, queue)


@get("/api/queue/{queue:str}/schema", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems(404))
async def schema(site: OnSite, caller: By, queue: Named) -> dict[str, object]:
    """Give the JSON Schema of a queue's payload."""
    return await site.looking.schema(caller, queue)


@get("/api/queue/{queue:str}/minutes", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems(404))
async def minutes(site: OnSite, caller: By, queue: Named, last: Minutes = 60) -> list[Minute]:
    """Say what happened in a queue, minute by minute, oldest first; not for tokens that are held to some tenants."""
    return (await site.looking.minutes(caller, queue, last))[queue]


@get("/api/queue/{queue:str}/causes", opt=open_to(Role.VIEWER), tags=["queues"], responses=problems(404))
async def causes(site: OnSite, caller: By, queue: Named) -> Causes:
    """Group a queue's newest failed jobs by their causes; `lookedAt` says how many, and asking again looks further."""
    return await site.looking.causes(caller, queue)


@get("/api/workers", opt=open_to(Role.VIEWER), tags=["workers"], responses=problems())
async def workers(site: OnSite, caller: By) -> list[WorkerView]:
    """List the workers; not for tokens that are held to some tenants."""
    return await site.looking.workers(caller)


@post(
    "/api/queue/{queue:str}/pause",
    opt=open_to(Role.OPERATOR),
    status_code=200,
    tags=["queues"],
    responses=problems(404, 408, 413),
)
async def pause(site: OnSite, caller: By, queue: Named, tenant: OneTenant = None) -> QueueState:
    """Let no further job of a queue start, or of one tenant; tokens that are held to some tenants pause those only."""
    await site.changing.pause(caller, queue, tenant or "")
    return QueueState(name=queue, paused=True, tenant=tenant or "")


@post(
    "/api/queue/{queue:str}/resume",
    opt=open_to(Role.OPERATOR),
    status_code=200,
    tags=["queues"],
    responses=problems(404, 408, 413),
)
async def resume(site: OnSite, caller: By, queue: Named, tenant: OneTenant = None) -> QueueState:
    """Let a queue's jobs start again, or one tenant's; tokens that are held to some tenants resume those only."""
    await site.changing.resume(caller, queue, tenant or "")
    return QueueState(name=queue, paused=False, tenant=tenant or "")


@post(
    "/api/queue/{queue:str}/limits",
    **taking(Role.OPERATOR, LimitChange),
    status_code=200,
    tags=["queues"],
    responses=problems(404, 408, 413),
)
async def limit(site: OnSite, caller: By, queue: Named, wanted: Said[LimitChange]) -> QueueLimits:
    """Set or forget limits of a queue, or of one tenant in it, while workers run; not for tokens held to some tenants."""
    await site.changing.limit(caller, queue, wanted)
    return await site.looking.limits(caller, queue)


@delete(
    "/api/queue/{queue:str}/clear",
    opt=open_to(Role.ADMIN),
    status_code=200,
    tags=["queues"],
    responses=problems(404, 408, 413),
)
async def clear(site: OnSite, caller: By, queue: Named, status: OneState = None) -> Cleared:
    """Delete a queue's jobs, or those of one state; never one that runs."""
    return await site.changing.clear(caller, queue, None if status is None else State(status))


async def _health(site: Site, caller: Caller) -> Response[Health]:
    try:
        return Response(await site.looking.health(caller))
    except StoreCorruptError:
        return Response(away(f"{UNREADABLE}; `jobrunner doctor` says more"), status_code=503)
    except StoreError:
        retry = {"retry-after": str(AWAY_RETRY_S)}
        return Response(away(), status_code=503, headers=retry)


HANDLERS = (
    *(overall_health, queue_health, all_stats, stats, queues, schema, minutes, causes, workers),
    *(queue_detail, pause, resume, limit, clear),
)
