"""What a worker opens once for all of its analytics jobs: the client, the accounts, the platforms, the table.

Wires only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec

from jobrunner import Registry
from jobrunner_analytics.accounts import AccountBook
from jobrunner_analytics.metrics import MetricStore
from jobrunner_analytics.platform import Context, Platform
from jobrunner_analytics.settings import AnalyticsSettings

LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=20.0)
"""Above what a worker's slots need at once; idle connections end before a platform's side ends them."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What analytics jobs share in a worker.

    Args:
        accounts: The accounts and their tokens.
        platforms: The platforms that are installed.
        store: The table.
        context: What platforms work with.
    """

    accounts: AccountBook
    platforms: Registry[Platform]
    store: MetricStore
    context: Context


@asynccontextmanager
async def open_desk(
    settings: AnalyticsSettings, *, platforms: Registry[Platform], accounts: AccountBook
) -> AsyncIterator[Desk]:
    """Open what analytics jobs need, and close it at the end.

    Args:
        settings: The plugin's settings.
        platforms: The platforms that are installed.
        accounts: The accounts and their tokens.

    Raises:
        PluginError: The database's address cannot be used.
    """
    store = MetricStore(settings.database_url)
    client = httpx.AsyncClient(
        limits=LIMITS, timeout=settings.timeout, headers={"User-Agent": "jobrunner-analytics"}
    )
    try:
        async with client:
            yield Desk(
                accounts=accounts,
                platforms=platforms,
                store=store,
                context=Context(http=client, settings=settings),
            )
    finally:
        await store.close()
