"""The page about one job."""

from __future__ import annotations

import time

from litestar import Response, get

from jobrunner.model import State
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import Ask, By, Named, OnSite
from jobrunner_http.changing import STATES, Change
from jobrunner_http.dashboard.rendering import OnPages
from jobrunner_http.dashboard.timeline import timeline
from jobrunner_http.door import open_to
from jobrunner_http.looking import JobDetail

MAX_HISTORY = 100
"""Lines of a job's history that a page shows, the newest; the API has all of them."""

NEEDED: dict[Change, Role] = {
    "promote": Role.OPERATOR,
    "retry": Role.OPERATOR,
    "cancel": Role.OPERATOR,
    "remove": Role.ADMIN,
}
"""The role that each change of a job needs."""


@get("/queues/{queue:str}/jobs/{job_id:str}", opt=open_to(Role.VIEWER))
async def job_page(
    site: OnSite, pages: OnPages, caller: By, request: Ask, queue: Named, job_id: Named
) -> Response[bytes]:
    """Show all that may be seen of one job."""
    job = await site.looking.job(caller, queue, job_id)
    about = (await site.looking.queues(caller)).get(queue)
    errors = [one for one in job.history if one.what in ("error", "crash", "buried")]
    data = {
        "queue": queue,
        "job": job,
        "picture": timeline(job, int(time.time() * 1000)),
        "error": errors[-1] if errors and job.state not in ("completed", "cancelled") else None,
        "history": list(reversed(job.history))[:MAX_HISTORY],
        "changes": changes(caller, job),
        "most": about.max_attempts if about else None,
    }
    return pages.show(request, "job.html", data)


def changes(caller: Caller, job: JobDetail) -> list[Change]:
    """What a caller may do with a job now."""
    if job.state not in set(State):
        return []
    return [what for what, role in NEEDED.items() if caller.may(role) and State(job.state) in STATES[what]]


HANDLERS = (job_page,)
