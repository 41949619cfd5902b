"""Routes about jobs: enqueue, list, look, retry, cancel, promote, remove, one or by filter."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import UNSET

from jobrunner.model import State as JobState
from jobrunner.views import JobPage
from jobrunner_http import patterns
from jobrunner_http.access import Role
from jobrunner_http.api.asking import Ask, By, Named, OnSite, Said, taking
from jobrunner_http.api.describing import problems
from jobrunner_http.bodies import (
    CancelChoice,
    Changed,
    ChangedJob,
    Choice,
    Enqueue,
    Enqueued,
    EnqueuedJob,
    Payload,
    PromoteChoice,
    Reason,
    RemoveChoice,
    RetryChoice,
)
from jobrunner_http.changing import Change
from jobrunner_http.door import open_to
from jobrunner_http.looking import JobDetail

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Jobs in the page, at the most.")]
After = Annotated[
    str,
    QueryParameter(
        max_length=280,
        pattern=patterns.CURSOR_OR_NONE,
        description="The `next` of the page before.",
    ),
]
Tenant = Annotated[
    str, QueryParameter(pattern=patterns.TENANT_OR_NONE, description="Only this tenant's jobs.")
]
Shown = Annotated[JobState, QueryParameter(name="state", description="The state whose jobs are listed.")]
ENQUEUE = (404, 408, 409, 413)


@post(
    "/api/queue/{queue:str}/jobs",
    **taking(Role.OPERATOR, Enqueue),
    status_code=202,
    tags=["jobs"],
    responses={202: ResponseSpec(EnqueuedJob | Enqueued, generate_examples=False), **problems(*ENQUEUE)},
)
async def enqueue(
    site: OnSite, caller: By, request: Ask, queue: Named, wanted: Said[Enqueue]
) -> Response[EnqueuedJob | Enqueued]:
    """Enqueue one job, or several; the same id and payload again is the same job."""
    jobs = await site.changing.enqueue(caller, queue, wanted)
    if wanted.jobs is not UNSET:
        return Response(Enqueued(jobs=jobs), status_code=202)
    return Response(jobs[0], status_code=202, headers={"location": location(request, jobs[0])})


@post(
    "/api/queue/test/{group:str}/{action:str}",
    **taking(Role.OPERATOR, Payload),
    status_code=202,
    tags=["test"],
    responses={202: ResponseSpec(EnqueuedJob, generate_examples=False), **problems(*ENQUEUE)},
)
async def trial(
    site: OnSite, caller: By, request: Ask, group: Named, action: Named, wanted: Said[Payload]
) -> Response[EnqueuedJob]:
    """Enqueue a job to the queue of a route; the body is its payload."""
    job = await site.changing.trial(caller, f"{group}/{action}", wanted)
    return Response(job, status_code=202, headers={"location": location(request, job)})


@get("/api/queue/{queue:str}/jobs", opt=open_to(Role.VIEWER), tags=["jobs"], responses=problems(404))
async def list_jobs(
    site: OnSite,
    caller: By,
    queue: Named,
    shown: Shown = JobState.WAITING,
    limit: Limit = 50,
    after: After = "",
    tenant: Tenant = "",
) -> JobPage:
    """List a state's jobs: those that wait in the order they will run, the others newest first. A page may be short."""
    return await site.looking.jobs(caller, queue, shown, limit=limit, after=after, tenant=tenant)


@get(
    "/api/queue/{queue:str}/jobs/{job_id:str}",
    opt=open_to(Role.VIEWER),
    tags=["jobs"],
    responses=problems(404),
)
async def show_job(site: OnSite, caller: By, queue: Named, job_id: Named) -> JobDetail:
    """Show one job: payload with secrets masked, history, steps, progress, log lines, errors."""
    return await site.looking.job(caller, queue, job_id)


@delete(
    "/api/queue/{queue:str}/jobs/{job_id:str}",
    opt=open_to(Role.ADMIN),
    tags=["jobs"],
    responses=problems(404, 408, 409, 413),
)
async def remove_job(site: OnSite, caller: By, queue: Named, job_id: Named) -> None:
    """Delete a job that does not run, and all that is known of it."""
    await site.changing.change_job(caller, queue, job_id, "remove")


@post(
    "/api/queue/{queue:str}/jobs/{job_id:str}/retry",
    opt=open_to(Role.OPERATOR),
    status_code=200,
    tags=["jobs"],
    responses=problems(404, 408, 409, 413),
)
async def retry_job(site: OnSite, caller: By, queue: Named, job_id: Named) -> ChangedJob:
    """Put a failed, cancelled or parked job in line again, its attempts forgiven."""
    return await site.changing.change_job(caller, queue, job_id, "retry")


@post(
    "/api/queue/{queue:str}/jobs/{job_id:str}/promote",
    opt=open_to(Role.OPERATOR),
    status_code=200,
    tags=["jobs"],
    responses=problems(404, 408, 409, 413),
)
async def promote_job(site: OnSite, caller: By, queue: Named, job_id: Named) -> ChangedJob:
    """Let a delayed job start now."""
    return await site.changing.change_job(caller, queue, job_id, "promote")


@post(
    "/api/queue/{queue:str}/jobs/{job_id:str}/cancel",
    **taking(Role.OPERATOR, Reason | None),
    status_code=200,
    tags=["jobs"],
    responses=problems(404, 408, 409, 413),
)
async def cancel_job(
    site: OnSite, caller: By, queue: Named, job_id: Named, wanted: Said[Reason | None]
) -> ChangedJob:
    """Stop a job: one that does not run at once, one that runs is told to."""
    reason = wanted.reason if wanted else ""
    return await site.changing.change_job(caller, queue, job_id, "cancel", reason=reason)


def _bulk(what: Change, role: Role, kind: type[Choice]) -> dict[str, Any]:
    return {
        "path": f"/api/queue/{{queue:str}}/{what}",
        **taking(role, kind),
        "status_code": 200,
        "tags": ["jobs"],
        "responses": problems(404, 408, 413),
    }


@post(**_bulk("retry", Role.OPERATOR, RetryChoice))
async def retry_jobs(site: OnSite, caller: By, queue: Named, wanted: Said[RetryChoice]) -> Changed:
    """Retry the jobs that a filter wants, or those of some ids; with dryRun, count them."""
    return await site.changing.change(caller, queue, "retry", wanted)


@post(**_bulk("cancel", Role.OPERATOR, CancelChoice))
async def cancel_jobs(site: OnSite, caller: By, queue: Named, wanted: Said[CancelChoice]) -> Changed:
    """Cancel the jobs that a filter wants, or those of some ids; with dryRun, count them."""
    return await site.changing.change(caller, queue, "cancel", wanted)


@post(**_bulk("promote", Role.OPERATOR, PromoteChoice))
async def promote_jobs(site: OnSite, caller: By, queue: Named, wanted: Said[PromoteChoice]) -> Changed:
    """Let the delayed jobs that a filter wants, or those of some ids, start now; with dryRun, count them."""
    return await site.changing.change(caller, queue, "promote", wanted)


@post(**_bulk("remove", Role.ADMIN, RemoveChoice))
async def remove_jobs(site: OnSite, caller: By, queue: Named, wanted: Said[RemoveChoice]) -> Changed:
    """Delete the jobs that a filter wants, or those of some ids; with dryRun, count them. Never one that runs."""
    return await site.changing.change(caller, queue, "remove", wanted)


def location(request: Ask, job: EnqueuedJob) -> str:
    """Where a job is to be looked at."""
    root = request.scope.get("root_path", "")
    return f"{quote(root)}/api/queue/{quote(job.queue)}/jobs/{quote(job.id)}"


HANDLERS = (
    *(enqueue, trial, list_jobs, show_job, remove_job, retry_job, promote_job, cancel_job),
    *(retry_jobs, cancel_jobs, promote_jobs, remove_jobs),
)
