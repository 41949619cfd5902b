"""What the pages' forms do. The gate has seen that a form comes from a page of ours; each says which role it needs.

A form is answered by the page that shows what it did.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, post
from litestar.params import URLEncodedBody
from msgspec import Meta

from jobrunner.errors import InvalidNameError
from jobrunner.model import State
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import Ask, By, Named, OnSite
from jobrunner_http.bodies import RetryChoice
from jobrunner_http.dashboard.limit_form import limit_change
from jobrunner_http.dashboard.queue_pages import Draft, queue_data
from jobrunner_http.dashboard.rendering import OnPages, Pages, back
from jobrunner_http.door import open_to
from jobrunner_http.problems import ProblemError
from jobrunner_http.site import Site


class TenantForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tenant of a queue; without the field it is the queue itself."""

    tenant: Annotated[str, Meta(max_length=128)] | None = None

    @property
    def named(self) -> str:
        """The tenant; empty for the queue.

        Raises:
            InvalidNameError: There is the field, and nothing in it: that must not stand for everybody.
        """
        if self.tenant is not None and not self.tenant.strip():
            raise InvalidNameError("name a tenant; for the whole queue there is a button at its head")
        return (self.tenant or "").strip()


class ClearForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs to delete."""

    state: Annotated[str, Meta(max_length=20)] = ""


class LimitForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit of a queue or a tenant; without a value, the declaration holds again."""

    limit: Literal[
        "max_active",
        "max_active_per_tenant",
        "rate",
        "rate_per_tenant",
        "weight",
        "max_waiting",
        "max_waiting_bytes",
    ]
    tenant: Annotated[str, Meta(max_length=128)] = ""
    value: Annotated[str, Meta(max_length=40)] = ""


class CauseForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The failures of which cause."""

    cause: Annotated[str, Meta(min_length=1, max_length=128)]


class CancelForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: Annotated[str, Meta(max_length=500)] = ""


@post("/queues/{queue:str}/pause", opt=open_to(Role.OPERATOR))
async def pause(
    site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named, data: URLEncodedBody[TenantForm]
) -> Response[Any]:
    """Let no further job start, of a queue or of one tenant."""
    try:
        tenant = data.named
        await site.changing.pause(caller, queue, tenant)
    except InvalidNameError as error:
        draft = Draft(form="pause", wrong=str(error), field="tenant", tenant=data.tenant or "")
        return await _once_more(site, pages, caller, request, queue, draft)
    return back(request, "queues", queue, done="tenant_paused" if tenant else "paused")


@post("/queues/{queue:str}/resume", opt=open_to(Role.OPERATOR))
async def resume(
    site: OnSite, caller: By, request: Ask, queue: Named, data: URLEncodedBody[TenantForm]
) -> Response[None]:
    """Let jobs start again, of a queue or of one tenant."""
    tenant = data.named
    await site.changing.resume(caller, queue, tenant)
    return back(request, "queues", queue, done="tenant_resumed" if tenant else "resumed")


@post("/queues/{queue:str}/limits", opt=open_to(Role.OPERATOR))
async def limit(
    site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named, data: URLEncodedBody[LimitForm]
) -> Response[Any]:
    """Set one limit, or forget what was set."""
    try:
        await site.changing.limit(caller, queue, limit_change(data.limit, data.tenant, data.value))
    except ProblemError as error:
        if error.status != 422:
            raise
        field = "tenant" if [one for one in error.errors if one.field == "tenant"] else "value"
        draft = Draft(
            form="limit",
            wrong=error.detail,
            field=field,
            limit=data.limit,
            tenant=data.tenant,
            value=data.value,
        )
        return await _once_more(site, pages, caller, request, queue, draft)
    return back(request, "queues", queue, done="limited")


async def _once_more(
    site: Site, pages: Pages, caller: Caller, request: Ask, queue: str, draft: Draft
) -> Response[bytes]:
    """The queue's page again, with a form as it was sent and what is wrong with it."""
    data = await queue_data(site, caller, queue, {}, draft)
    return pages.show(request, "queue.html", data, status=422)


@post("/queues/{queue:str}/clear", opt=open_to(Role.ADMIN))
async def clear(
    site: OnSite, caller: By, request: Ask, queue: Named, data: URLEncodedBody[ClearForm]
) -> Response[None]:
    """Delete the jobs of a state; `all` is all but those that run."""
    if data.state != "all" and data.state not in set(State):
        raise ProblemError(422, "say which jobs to delete: those of a state, or all")
    cleared = await site.changing.clear(caller, queue, None if data.state == "all" else State(data.state))
    more = "" if cleared.complete else 1
    return back(request, "queues", queue, done="cleared", n=cleared.cleared, more=more)


@post("/queues/{queue:str}/failures/retry", opt=open_to(Role.OPERATOR))
async def retry_cause(
    site: OnSite, caller: By, request: Ask, queue: Named, data: URLEncodedBody[CauseForm]
) -> Response[None]:
    """Retry the failures of one cause."""
    choice = RetryChoice(state="failed", cause=data.cause)
    changed = await site.changing.change(caller, queue, "retry", choice)
    more = 1 if changed.next else ""
    return back(request, "queues", queue, "failures", done="retried", n=changed.changed, more=more)


@post("/queues/{queue:str}/jobs/{job_id:str}/retry", opt=open_to(Role.OPERATOR))
async def retry_job(site: OnSite, caller: By, request: Ask, queue: Named, job_id: Named) -> Response[None]:
    """Put a job in line again."""
    changed = await site.changing.change_job(caller, queue, job_id, "retry")
    return back(request, "queues", queue, "jobs", job_id, done=changed.result, n=1)


@post("/queues/{queue:str}/jobs/{job_id:str}/promote", opt=open_to(Role.OPERATOR))
async def promote_job(site: OnSite, caller: By, request: Ask, queue: Named, job_id: Named) -> Response[None]:
    """Let a delayed job start now."""
    changed = await site.changing.change_job(caller, queue, job_id, "promote")
    return back(request, "queues", queue, "jobs", job_id, done=changed.result, n=1)


@post("/queues/{queue:str}/jobs/{job_id:str}/cancel", opt=open_to(Role.OPERATOR))
async def cancel_job(
    site: OnSite,
    caller: By,
    request: Ask,
    queue: Named,
    job_id: Named,
    data: URLEncodedBody[CancelForm],
) -> Response[None]:
    """Stop a job."""
    changed = await site.changing.change_job(caller, queue, job_id, "cancel", reason=data.reason)
    return back(request, "queues", queue, "jobs", job_id, done=changed.result, n=1)


@post("/queues/{queue:str}/jobs/{job_id:str}/remove", opt=open_to(Role.ADMIN))
async def remove_job(site: OnSite, caller: By, request: Ask, queue: Named, job_id: Named) -> Response[None]:
    """Delete a job."""
    await site.changing.change_job(caller, queue, job_id, "remove")
    return back(request, "queues", queue, done="removed", n=1)


HANDLERS = (pause, resume, limit, clear, retry_cause, retry_job, promote_job, cancel_job, remove_job)
