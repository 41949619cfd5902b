"""A served API on a real store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Test files are imported by their path, so the module that they share is found only if its folder is named.
sys.path.insert(0, str(Path(__file__).parent))

from http_house import House


@pytest.fixture
async def open_house(shared_server):
    """Return a function that serves an API with settings of the test's own."""
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    opened = []

    async def make(**settings) -> House:
        house = House(server.url, **settings)
        context = house.open()
        await context.__aenter__()
        opened.append(context)
        return house

    yield make
    for context in opened:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def house(open_house) -> House:
    """Serve an API as it is set up by default."""
    return await open_house()
