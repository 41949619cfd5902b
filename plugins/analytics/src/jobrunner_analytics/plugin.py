"""The plugin `analytics` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported when a worker opens its resources: the HTTP
client and the database layer take time to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_analytics.payload import AnalyticsPull
from jobrunner_analytics.result import PullResult
from jobrunner_analytics.settings import AnalyticsSettings

TIMEOUT_S = 3600.0
"""A hundred pages of 25 posts, a call a post, at a pace that is slow and not yet broken; what is done is kept."""


async def pull(job: Job[AnalyticsPull]) -> PullResult:
    """Pull figures from every platform; see `jobrunner_analytics.handler.pull`."""
    from jobrunner_analytics import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.pull(job)


@hookimpl
def jobrunner_settings() -> type[AnalyticsSettings]:
    """Return the type of the plugin's settings."""
    return AnalyticsSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queue `analytics.pull`."""
    return [
        Queue(
            "analytics.pull",
            AnalyticsPull,
            pull,
            priority=3,
            retry=RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600),
            timeout=TIMEOUT_S,
            route="analytics/pull",
        )
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: AnalyticsSettings) -> AsyncIterator[list[object]]:
    """Open the client, the accounts, the platforms and the table, once a worker."""
    importlib.import_module("jobrunner_analytics.handler")  # now, so that the first job does not wait for it
    from jobrunner_analytics.desk import open_desk  # noqa: PLC0415 - for start-up time, see above

    async with open_desk(settings) as desk:
        yield [desk]
