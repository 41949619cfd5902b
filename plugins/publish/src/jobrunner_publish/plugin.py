"""The plugin `publish` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported when a worker opens its resources: the
HTTP client behind it takes half a second to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_publish.payload import PublishDispatch
from jobrunner_publish.result import DispatchResult
from jobrunner_publish.settings import PublishSettings

TIMEOUT_S = 1800.0
"""An attempt at 20 accounts with 10 media each, one after the other, at a pace that is slow and not yet broken."""


async def dispatch(job: Job[PublishDispatch]) -> DispatchResult:
    """Publish a post to all of its accounts; see `jobrunner_publish.handler.dispatch`."""
    from jobrunner_publish import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.dispatch(job)


@hookimpl
def jobrunner_settings() -> type[PublishSettings]:
    """Return the type of the plugin's settings."""
    return PublishSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queue `publish.dispatch`."""
    return [
        Queue(
            "publish.dispatch",
            PublishDispatch,
            dispatch,
            priority=10,
            concurrency=3,
            concurrency_env="PUBLISH_WORKER_CONCURRENCY",
            retry=RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600),
            timeout=TIMEOUT_S,
            route="publish/dispatch",
            schedule_field="scheduled_time",
        )
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: PublishSettings) -> AsyncIterator[list[object]]:
    """Open the client, the guarded fetch and the platforms, once a worker."""
    importlib.import_module("jobrunner_publish.handler")  # now, so that the first job does not wait for it
    from jobrunner_publish.publisher import open_publisher  # noqa: PLC0415 - for start-up time, see above

    async with open_publisher(settings) as publisher:
        yield [publisher, publisher.http, publisher.fetcher]
