"""What a worker opens once for all of its publish jobs: the client, the guarded fetch, and the platforms.

Wires only. The guarded fetch shares nothing with the client, which may use the environment's proxy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec

from jobrunner import Registry
from jobrunner_publish.adapter import Adapter, Context
from jobrunner_publish.effect import Remember
from jobrunner_publish.fetch import Fetcher
from jobrunner_publish.registry import load_platforms
from jobrunner_publish.settings import PublishSettings

LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=20.0)
"""Far above what a worker's slots need at once; idle connections end before a platform's side ends them."""


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """What publish jobs share in a worker.

    Args:
        http: The client, for the platforms' own addresses.
        fetcher: The guarded fetch, for tenants' addresses.
        platforms: The adapters.
        settings: The plugin's settings.
    """

    http: httpx.AsyncClient
    fetcher: Fetcher
    platforms: Registry[Adapter]
    settings: PublishSettings

    def context(self, remember: Remember, *, run: int) -> Context:
        """Return what an adapter works with.

        Args:
            remember: Durable steps of one account of one job.
            run: The job's fencing number.
        """
        return Context(
            http=self.http, fetcher=self.fetcher, settings=self.settings, remember=remember, run=run
        )


@asynccontextmanager
async def open_publisher(settings: PublishSettings) -> AsyncIterator[Publisher]:
    """Open what publish jobs need, and close it at the end.

    Args:
        settings: The plugin's settings.

    Raises:
        PluginError: A platform that is installed cannot be used.
    """
    platforms = load_platforms()
    client = httpx.AsyncClient(
        limits=LIMITS, timeout=settings.timeout, headers={"User-Agent": "jobrunner-publish"}
    )
    fetcher = Fetcher(
        max_bytes=settings.media_max_bytes, deadline=settings.media_timeout, gateway=settings.media_gateway
    )
    async with client, fetcher:
        yield Publisher(http=client, fetcher=fetcher, platforms=platforms, settings=settings)
