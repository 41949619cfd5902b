"""A sandbox for the images endpoint, and a server that answers with given bytes where it must misbehave."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobrunner_sandbox import SandboxServer

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from image_endpoint import Canned


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread() as server:
        yield server


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    canned = Canned()
    async with await asyncio.start_server(canned.serve, "127.0.0.1", 0) as server:
        canned.port = server.sockets[0].getsockname()[1]
        yield canned
    await asyncio.gather(*canned.serving)
