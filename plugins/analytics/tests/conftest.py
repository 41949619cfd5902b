"""A sandbox with a tenant's posts, and a server that answers with given bytes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from jobrunner_analytics import AnalyticsSettings, Context
from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the modules that they share are found only if their folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from analytics_endpoint import Canned
from analytics_world import World


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread() as server:
        yield server


@pytest.fixture
def world(sandbox: SandboxServer, tmp_path: Path) -> World:
    return World(sandbox, tmp_path)


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    canned = Canned()
    async with await asyncio.start_server(canned.serve, "127.0.0.1", 0) as server:
        canned.port = server.sockets[0].getsockname()[1]
        yield canned
    await asyncio.gather(*canned.serving)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=10) as http:
        yield http


@pytest.fixture
def context(http: httpx.AsyncClient, world: World) -> Context:
    return Context(http=http, settings=AnalyticsSettings(**world.settings()))  # type: ignore[arg-type]  # by field
