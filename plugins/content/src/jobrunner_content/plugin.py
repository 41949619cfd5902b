"""The plugin `content` as it is loaded: its settings, its queues, and what its jobs share.

Declares and wires. What a job does is the handlers', which are imported with the first job: the database's library
takes half a second and fifteen megabytes, which producers, the command line and a worker that waits need not pay.
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
from jobrunner_content.payload import ContentGenerateMonthly, ContentRegenSingle
from jobrunner_content.result import MonthlyResult, RegenResult
from jobrunner_content.settings import DATABASE_VARIABLE, ContentSettings

if TYPE_CHECKING:  # for start-up time, see above
    from jobrunner_content.studio import Studio
    from jobrunner_content.writer import Writer

MONTHLY_TIMEOUT_S = 7200.0
"""An attempt at 200 posts of half a minute each; the next one goes on where it stood."""

SINGLE_TIMEOUT_S = 900.0
RETRY = RetryPolicy(max_attempts=8, base=10, factor=3, cap=3600)
CONCURRENCY_VARIABLE = "CONTENT_WORKER_CONCURRENCY"


async def generate_monthly(job: Job[ContentGenerateMonthly]) -> MonthlyResult:
    """Write a month of posts; see `jobrunner_content.monthly.generate`."""
    late: Late[Studio] = job.resource(Late)
    studio = await late.get()
    from jobrunner_content import monthly  # noqa: PLC0415 - for start-up time, see above

    return await monthly.generate(job, studio)


async def regenerate_single(job: Job[ContentRegenSingle]) -> RegenResult:
    """Rewrite one post; see `jobrunner_content.regeneration.regenerate`."""
    late: Late[Studio] = job.resource(Late)
    studio = await late.get()
    from jobrunner_content import regeneration  # noqa: PLC0415 - for start-up time, see above

    return await regeneration.regenerate(job, studio)


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
    """Open the writer once a worker, and the post store with the first job."""
    from jobrunner_content.registry import open_writer  # noqa: PLC0415 - for start-up time, see above

    if not settings.is_sqlite and importlib.util.find_spec("psycopg") is None:
        raise SettingsError(
            DATABASE_VARIABLE, "psycopg is not installed; run: pip install 'jobrunner-content[postgres]'"
        )
    async with open_writer(settings) as writer, Late(partial(_open_studio, settings, writer)) as late:
        yield [late]


@asynccontextmanager
async def _open_studio(settings: ContentSettings, writer: Writer) -> AsyncIterator[Studio]:
    for module in ("monthly", "regeneration"):  # on a thread, so that the worker goes on meanwhile
        await asyncio.to_thread(importlib.import_module, f"jobrunner_content.{module}")
    from jobrunner_content.studio import open_studio  # noqa: PLC0415 - for start-up time, see above

    async with open_studio(settings, writer) as studio:
        yield studio
