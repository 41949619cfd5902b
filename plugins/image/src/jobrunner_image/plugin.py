"""The plugin `image` as it is loaded: its settings, its queue, and what its jobs share.

Declares and wires. What a job does is the handler's, which is imported when a worker opens its resources: Pillow
and the file system layer take time to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_image.payload import ImageGenerate
from jobrunner_image.result import ImageResult
from jobrunner_image.settings import ImageSettings

TIMEOUT_S = 900.0
"""A picture from a slow endpoint at its longest timeout, with its upload."""


async def generate(job: Job[ImageGenerate]) -> ImageResult:
    """Draw a picture and store it; see `jobrunner_image.handler.generate`."""
    from jobrunner_image import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.generate(job)


@hookimpl
def jobrunner_settings() -> type[ImageSettings]:
    """Return the type of the plugin's settings."""
    return ImageSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queue `image.generate`."""
    return [
        Queue(
            "image.generate",
            ImageGenerate,
            generate,
            priority=6,
            retry=RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600),
            timeout=TIMEOUT_S,
            route="image/generate",
        )
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: ImageSettings) -> AsyncIterator[list[object]]:
    """Open the engine, the drawing threads and the place that pictures go to, once a worker."""
    importlib.import_module("jobrunner_image.handler")  # now, so that the first job does not wait for it
    from jobrunner_image.studio import open_studio  # noqa: PLC0415 - for start-up time, see above

    async with open_studio(settings) as studio:
        yield [studio]
