"""The plugin `approval` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported with the first job: the database's library behind
it takes half a second and fifteen megabytes, which producers, the command line and a worker that waits need not pay.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from jobrunner import Job, Late, Queue, RetryPolicy, SettingsError, hookimpl
from jobrunner_approval.payload import ApprovalNotify
from jobrunner_approval.result import NotifyResult
from jobrunner_approval.settings import DATABASE_VARIABLE, ApprovalSettings

if TYPE_CHECKING:  # for start-up time, see above
    from jobrunner_approval.desk import Desk
    from jobrunner_approval.mailer import Mailer


async def notify(job: Job[ApprovalNotify]) -> NotifyResult:
    """Tell all approvers of a post; see `jobrunner_approval.handler.notify`."""
    late: Late[Desk] = job.resource(Late)
    desk = await late.get()
    from jobrunner_approval import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.notify(job, desk)


@hookimpl
def jobrunner_settings() -> type[ApprovalSettings]:
    """Return the type of the plugin's settings."""
    return ApprovalSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queue `approval.notify`."""
    return [
        Queue(
            "approval.notify",
            ApprovalNotify,
            notify,
            priority=7,
            # The first waits outlast the few minutes of a greylist.
            retry=RetryPolicy(max_attempts=8, base=60, factor=3, cap=3600),
            route="approval/notify",
        )
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: ApprovalSettings) -> AsyncIterator[list[object]]:
    """Read the mail server's certificates once a worker, and open the table with the first job."""
    from jobrunner_approval.mailer import Mailer  # noqa: PLC0415 - for start-up time, see above

    if not settings.is_sqlite and importlib.util.find_spec("psycopg") is None:
        raise SettingsError(
            DATABASE_VARIABLE, "psycopg is not installed: pip install 'jobrunner-approval[postgres]'"
        )
    async with Late(partial(_open_desk, settings, Mailer(settings))) as late:
        yield [late]


@asynccontextmanager
async def _open_desk(settings: ApprovalSettings, mailer: Mailer) -> AsyncIterator[Desk]:
    # On a thread, so that the worker goes on meanwhile.
    await asyncio.to_thread(importlib.import_module, "jobrunner_approval.handler")
    from jobrunner_approval.desk import open_desk  # noqa: PLC0415 - for start-up time, see above

    async with open_desk(settings, mailer) as desk:
        yield desk
