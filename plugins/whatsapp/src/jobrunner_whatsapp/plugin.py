"""The plugin `whatsapp` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported when a worker opens its resources: the HTTP
client behind it takes half a second to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_whatsapp.payload import WhatsAppMessage
from jobrunner_whatsapp.result import Accepted
from jobrunner_whatsapp.settings import WhatsAppSettings

PRIORITY = 5
"""Of a message whose producer says nothing: between analytics (3) and publishing (10)."""

TIMEOUT_S = 700.0
"""Above a call's longest, which is twice the largest timeout of the settings."""


async def send(job: Job[WhatsAppMessage]) -> Accepted:
    """Send a message; see `jobrunner_whatsapp.handler.send`."""
    from jobrunner_whatsapp import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.send(job)


@hookimpl
def jobrunner_settings() -> type[WhatsAppSettings]:
    """Return the type of the plugin's settings."""
    return WhatsAppSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queue `whatsapp-messages`."""
    return [
        Queue(
            "whatsapp-messages",
            WhatsAppMessage,
            send,
            priority=PRIORITY,
            concurrency=3,
            concurrency_env="WA_WORKER_CONCURRENCY",
            retry=RetryPolicy(max_attempts=10, base=10, factor=3, cap=3600),
            timeout=TIMEOUT_S,
            route="whatsapp/send",
        )
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: WhatsAppSettings) -> AsyncIterator[list[object]]:
    """Open the client, once a worker."""
    importlib.import_module("jobrunner_whatsapp.handler")  # now, so that the first job does not wait for it
    from jobrunner_whatsapp.cloud_api import open_cloud_api  # noqa: PLC0415 - for start-up time, see above

    async with open_cloud_api(settings) as api:
        yield [api]
