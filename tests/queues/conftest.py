"""What the tests of all queues share: a harness without any plugin's resources, and a clean environment."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from jobrunner.testing import Harness

OURS = ("REDIS_", "JOBRUNNER_", "QUEUE_", "WA_", "CONTENT_", "PUBLISH_")


@pytest.fixture
def environ() -> dict[str, str]:
    """This machine's environment without anybody's settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


@pytest.fixture
async def producer() -> AsyncIterator[Harness]:
    """All installed plugins with real clients; nothing is opened that a producer does not need."""
    async with Harness(resources={}) as harness:
        yield harness
