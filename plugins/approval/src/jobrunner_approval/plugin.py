"""The plugin `approval` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported when a worker opens its resources: the database
behind it takes half a second to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_approval.payload import ApprovalNotify
from jobrunner_approval.result import NotifyResult
from jobrunner_approval.settings import ApprovalSettings


async def notify(job: Job[ApprovalNotify]) -> NotifyResult:
    """Tell all approvers of a post; see `jobrunner_approval.handler.notify`."""
    from jobrunner_approval import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.notify(job)


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
    """Open the table and the mail server, once a worker."""
    importlib.import_module("jobrunner_approval.handler")  # now, so that the first job does not wait for it
    from jobrunner_approval.desk import open_desk  # noqa: PLC0415 - for start-up time, see above

    async with open_desk(settings) as desk:
        yield [desk]
