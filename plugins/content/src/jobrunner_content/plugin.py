"""The plugin `content` as it is loaded: its settings, its queues, and what its jobs share.

Declares and wires. What a job does is the handlers', which are imported when a worker opens its resources: the
database's library takes half a second to import, which producers and the command line need not wait for.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import Job, Queue, RetryPolicy, hookimpl
from jobrunner_content.payload import ContentGenerateMonthly, ContentRegenSingle
from jobrunner_content.result import MonthlyResult, RegenResult
from jobrunner_content.settings import ContentSettings

MONTHLY_TIMEOUT_S = 7200.0
"""An attempt at 200 posts of half a minute each; the next one goes on where it stood."""

SINGLE_TIMEOUT_S = 900.0
RETRY = RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600)
CONCURRENCY_VARIABLE = "CONTENT_WORKER_CONCURRENCY"


async def generate_monthly(job: Job[ContentGenerateMonthly]) -> MonthlyResult:
    """Write a month of posts; see `jobrunner_content.monthly.generate`."""
    from jobrunner_content import monthly  # noqa: PLC0415 - for start-up time, see above

    return await monthly.generate(job)


async def regenerate_single(job: Job[ContentRegenSingle]) -> RegenResult:
    """Rewrite one post; see `jobrunner_content.regeneration.regenerate`."""
    from jobrunner_content import regeneration  # noqa: PLC0415 - for start-up time, see above

    return await regeneration.regenerate(job)


@hookimpl
def jobrunner_settings() -> type[ContentSettings]:
    """Return the type of the plugin's settings."""
    return ContentSettings


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Return the queues `content.generate.monthly` and `content.regen.single`."""
    return [
        Queue(
            "content.generate.monthly",
            ContentGenerateMonthly,
            generate_monthly,
            priority=5,
            concurrency=2,
            concurrency_env=CONCURRENCY_VARIABLE,
            retry=RETRY,
            timeout=MONTHLY_TIMEOUT_S,
            route="content/generate-monthly",
        ),
        Queue(
            "content.regen.single",
            ContentRegenSingle,
            regenerate_single,
            priority=8,
            concurrency=2,
            concurrency_env=CONCURRENCY_VARIABLE,
            retry=RETRY,
            timeout=SINGLE_TIMEOUT_S,
            route="content/regenerate-single",
        ),
    ]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(settings: ContentSettings) -> AsyncIterator[list[object]]:
    """Open the writer and the post store, once a worker."""
    for handler in ("monthly", "regeneration"):  # now, so that the first job does not wait for them
        importlib.import_module(f"jobrunner_content.{handler}")
    from jobrunner_content.studio import open_studio  # noqa: PLC0415 - for start-up time, see above

    async with open_studio(settings) as studio:
        yield [studio, studio.posts]
