"""Links: one command at a time over a connection, and no reply is ever taken for another's."""

import asyncio
import os
import random

import pytest
from rig.faults import DelayReply

from jobrunner.errors import ClosedClientError, OutcomeUnknownError
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store


async def test_cancelled_command_never_leaves_its_reply_for_another(start_server, start_proxy):
    """The best-known leak of the field: a request that gave up, and the next one that got its answer."""
    proxy = start_proxy(start_server("valkey").url)
    proxy.every(3, DelayReply(0.03))
    store = open_store(parse_url(proxy.url))
    chance = random.Random(1)
    wrong = 0

    async def ask(number):
        nonlocal wrong
        try:
            async with asyncio.timeout(chance.uniform(0.0005, 0.04)):
                answer = await store.run(calls.command("ECHO", str(number)))
            wrong += answer != str(number).encode()
        except (TimeoutError, OutcomeUnknownError):
            return

    for start in range(0, 600, 20):
        await asyncio.gather(*[ask(number) for number in range(start, start + 20)])
    assert wrong == 0
    await store.close()


async def test_command_past_its_deadline_is_unknown_and_the_next_one_works(start_server, start_proxy):
    """A deadline of ours, since the driver has none that costs nothing."""
    proxy = start_proxy(start_server("valkey").url)
    store = open_store(parse_url(proxy.url))
    await store.run(calls.command("PING"))
    proxy.at(1, DelayReply(5.0))

    with pytest.raises(OutcomeUnknownError):
        await store.run(calls.command("ECHO", "late"), 0.1)
    assert await store.run(calls.command("ECHO", "next")) == b"next"
    await store.close()


async def test_link_opens_no_more_connections_than_its_limit(start_server):
    """A thousand requests at once must not open a thousand connections."""
    server = start_server("valkey")
    store = open_store(parse_url(server.url))
    await asyncio.gather(*[store.run(calls.command("PING")) for _ in range(500)])
    assert server.client().info("clients")["connected_clients"] <= 32 + 2
    await store.close()


def test_client_that_is_carried_over_a_fork_says_so(start_server):
    """Two processes on one connection would read each other's replies."""
    store = open_sync_store(parse_url(start_server("valkey").url))
    store.run(calls.command("PING"))
    child = os.fork()
    if child == 0:
        try:
            store.run(calls.command("PING"))
        except ClosedClientError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.run(calls.command("PING")) == b"PONG"
    store.close()


async def test_closed_store_says_so(start_server):
    """Rather than open connections that nobody closes."""
    url = start_server("valkey").url
    store, blocking = open_store(parse_url(url)), open_sync_store(parse_url(url))
    await store.close()
    blocking.close()
    with pytest.raises(ClosedClientError):
        await store.run(calls.command("PING"))
    with pytest.raises(ClosedClientError):
        blocking.run(calls.command("PING"))
