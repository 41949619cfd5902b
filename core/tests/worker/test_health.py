"""What the loops of a worker know of a store that is away: one finds it again, and the others need not wait."""

import asyncio

import pytest

from jobrunner.clock import SystemClock
from jobrunner.errors import StoreCorruptError, StoreUnavailableError
from jobrunner.observers import Observers
from jobrunner.worker.health import AT_LEAST_S, Health

MANY = 20
"""Failures after which a wait lasts 2.5 s and more."""


@pytest.fixture
def health():
    return Health("w", Observers([]), SystemClock())


async def test_loops_that_wait_go_on_once_one_of_them_found_the_store_again(health):
    """Each has a wait of its own, of up to 5 s: without this, jobs lie still although Redis is back."""
    away = StoreUnavailableError("away")
    waiting = [asyncio.create_task(health.failed(f"duty {n}", away, MANY)) for n in range(3)]
    await asyncio.sleep(0)

    health.succeeded("recover")

    async with asyncio.timeout(2.4):
        await asyncio.gather(*waiting)


async def test_loop_whose_own_node_stays_away_does_not_try_all_the_time(health):
    """In a cluster one node can be down for long while the loops of other queues go on."""
    loop = asyncio.get_running_loop()
    for _ in range(3):
        begun = loop.time()
        waiting = asyncio.create_task(health.failed("exchange q", StoreUnavailableError("away"), MANY))
        while not waiting.done():
            health.succeeded("exchange other")
            await asyncio.sleep(0.001)
        assert loop.time() - begun >= AT_LEAST_S * 0.99


async def test_loop_that_failed_for_another_reason_waits_all_the_same(health):
    """What is wrong with a key is not mended by a server that answers."""
    waiting = asyncio.create_task(health.failed("exchange q", StoreCorruptError("WRONGTYPE"), MANY))
    await asyncio.sleep(0)

    health.succeeded("recover")

    await asyncio.wait([waiting], timeout=2 * AT_LEAST_S)
    assert not waiting.done()
    waiting.cancel()
