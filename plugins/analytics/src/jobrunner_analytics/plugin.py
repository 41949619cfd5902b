"""The plugin `analytics` as it is loaded: its settings, its queue, and what its jobs share.

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

from jobrunner import Job, Late, Queue, Registry, RetryPolicy, SettingsError, hookimpl
from jobrunner_analytics.payload import AnalyticsPull
from jobrunner_analytics.result import PullResult
from jobrunner_analytics.settings import DATABASE_VARIABLE, AnalyticsSettings

if TYPE_CHECKING:  # for start-up time, see above
    from jobrunner_analytics.accounts import AccountBook
    from jobrunner_analytics.desk import Desk
    from jobrunner_analytics.platform import Platform

TIMEOUT_S = 3600.0
"""A hundred pages of 25 posts, a call a post, at a pace that is slow and not yet broken; what is done is kept."""


async def pull(job: Job[AnalyticsPull]) -> PullResult:
    """Pull figures from every platform; see `jobrunner_analytics.handler.pull`."""
    late: Late[Desk] = job.resource(Late)
    desk = await late.get()
    from jobrunner_analytics import handler  # noqa: PLC0415 - for start-up time, see above

    return await handler.pull(job, desk)


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
    """Load the platforms and read the accounts once a worker; open the client and the table with the first job."""
    from jobrunner_analytics.accounts import AccountBook  # noqa: PLC0415 - for start-up time, see above
    from jobrunner_analytics.registry import load_platforms  # noqa: PLC0415 - likewise

    if not settings.is_sqlite and importlib.util.find_spec("psycopg") is None:
        raise SettingsError(
            DATABASE_VARIABLE, "it names PostgreSQL: pip install 'jobrunner-analytics[postgres]'"
        )
    platforms = load_platforms()
    accounts = await asyncio.to_thread(AccountBook, settings.accounts)
    async with Late(partial(_open_desk, settings, platforms=platforms, accounts=accounts)) as late:
        yield [late]


@asynccontextmanager
async def _open_desk(
    settings: AnalyticsSettings, *, platforms: Registry[Platform], accounts: AccountBook
) -> AsyncIterator[Desk]:
    # On a thread, so that the worker goes on meanwhile.
    await asyncio.to_thread(importlib.import_module, "jobrunner_analytics.handler")
    from jobrunner_analytics.desk import open_desk  # noqa: PLC0415 - for start-up time, see above

    async with open_desk(settings, platforms=platforms, accounts=accounts) as desk:
        yield desk
