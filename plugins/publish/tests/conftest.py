"""A sandbox in the test's own event loop, and a desk that publishes to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from jobrunner_publish import Account, Fetcher, Post, PublishSettings
from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from publish_desk import Canned, Clock, Desk, make_post


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(clock: Clock) -> AsyncIterator[SandboxServer]:
    async with SandboxServer(now=clock.now) as server:
        yield server


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    canned = Canned()
    async with await asyncio.start_server(canned.serve, "127.0.0.1", 0) as server:
        canned.port = server.sockets[0].getsockname()[1]
        yield canned


@pytest.fixture
def settings(sandbox: SandboxServer) -> PublishSettings:
    services = sandbox.services()
    return PublishSettings(
        graph_url=services["graph"],
        linkedin_url=services["linkedin"],
        x_url=services["x"],
        mastodon_url=services["mastodon"],
        media_gateway=services["media"],
        poll_interval=0.01,
    )


@pytest.fixture
async def desk(settings: PublishSettings, clock: Clock) -> AsyncIterator[Desk]:
    fetcher = Fetcher(max_bytes=1 << 20, deadline=10, gateway=settings.media_gateway)
    async with httpx.AsyncClient(timeout=10) as http, fetcher:
        yield Desk(http=http, fetcher=fetcher, settings=settings, clock=clock)


@pytest.fixture
def post() -> Post:
    return make_post()


@pytest.fixture
def account() -> Callable[..., Account]:
    def make(platform: str, **credentials: object) -> Account:
        return Account(
            platform=platform,
            id=f"{platform}-acme",
            credentials={"accessToken": "EAAGsecret123456", **credentials},
        )

    return make
