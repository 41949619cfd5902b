"""Links: one command at a time over a connection, and no reply is ever taken for another's."""

import asyncio
import gc
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from redis.exceptions import ResponseError
from rig.faults import Answer, DelayReply, named

from jobrunner.errors import (
    ClosedClientError,
    OutcomeUnknownError,
    StoreCorruptError,
    StoreRefusedError,
    StoreUnavailableError,
)
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.link import CONNECTIONS

WHICH = calls.command("CLIENT", "ID")
"""A connection's number on the server: another number is another connection."""


@pytest.fixture
async def proxied(start_server, start_proxy):
    """A proxy, and a store of each sort whose commands pass through it."""
    proxy = start_proxy(start_server().url)
    store, blocking = open_store(parse_url(proxy.url)), open_sync_store(parse_url(proxy.url), timeout=0.5)
    yield proxy, store, blocking
    await store.close()
    blocking.close()


async def test_cancelled_command_never_leaves_its_reply_for_another(proxied):
    """The best-known leak of the field: a request that gave up, and the next one that got its answer."""
    proxy, store, _ = proxied
    proxy.every(3, DelayReply(0.01))
    chance = random.Random(1)
    wrong, given_up = [], 0

    async def ask(number):
        nonlocal given_up
        try:
            async with asyncio.timeout(chance.uniform(0.001, 0.025)):
                answer = await store.run(calls.command("ECHO", str(number)))
        except (TimeoutError, OutcomeUnknownError):
            given_up += 1
        else:
            wrong.extend([number] if answer != str(number).encode() else [])

    for start in range(0, 2000, 10):
        await asyncio.gather(*[ask(number) for number in range(start, start + 10)])
    assert wrong == []
    assert 0 < given_up < 2000, "neither all nor none, or nothing was tried"


async def test_cancelled_command_closes_its_connection(proxied):
    """Its answer is still to come, so nobody may read from it again; and the cancellation passes as it is."""
    proxy, store, _ = proxied
    before = await store.run(WHICH)
    proxy.at(1, DelayReply(5.0))
    sent = proxy.watch(only=named("ECHO"))
    task = asyncio.create_task(store.run(calls.command("ECHO", "late")))
    await asyncio.to_thread(sent.wait)

    task.cancel()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.__cause__ is None, "an error that is its own cause traps whoever walks the chain"
    assert await store.run(WHICH) != before


async def test_command_past_its_deadline_is_unknown_and_the_next_one_works(proxied):
    """A deadline of ours, since the driver has none that costs nothing."""
    proxy, store, blocking = proxied
    await store.run(calls.command("PING"))
    blocking.run(calls.command("PING"))

    proxy.at(1, DelayReply(5.0))
    with pytest.raises(OutcomeUnknownError, match="ECHO"):
        await store.run(calls.command("ECHO", "late"), 0.1)
    proxy.at(1, DelayReply(5.0))
    with pytest.raises(OutcomeUnknownError, match="ECHO"):
        await asyncio.to_thread(blocking.run, calls.command("ECHO", "late"))
    assert await store.run(calls.command("ECHO", "next")) == b"next"
    assert blocking.run(calls.command("ECHO", "next")) == b"next"


async def test_answer_read_only_makes_the_next_command_connect_anew(proxied):
    """A primary that became a replica: the address leads to the new one, an open connection to the old."""
    proxy, store, blocking = proxied
    before, also = await store.run(WHICH), blocking.run(WHICH)
    proxy.every(1, Answer("READONLY You can't write against a read only replica."), only=named("SET"))

    with pytest.raises(StoreUnavailableError):
        await store.run(calls.command("SET", "k", 1))
    with pytest.raises(StoreUnavailableError):
        blocking.run(calls.command("SET", "k", 1))

    assert await store.run(WHICH) != before
    assert blocking.run(WHICH) != also


async def test_any_other_answer_keeps_the_connection(proxied):
    """An error that was read whole leaves nothing behind."""
    _, store, blocking = proxied
    before, also = await store.run(WHICH), blocking.run(WHICH)
    bad = calls.command("SET", "k", "v", "EX", "soon")

    with pytest.raises(StoreCorruptError):
        await store.run(bad)
    with pytest.raises(StoreCorruptError):
        blocking.run(bad)
    replies = await store.link.send_many([("ECHO", "a"), bad.command, ("ECHO", "b")])
    also_replies = blocking.link.send_many([("ECHO", "a"), bad.command, ("ECHO", "b")])

    for first, error, last in (replies, also_replies):
        assert (first, last) == (b"a", b"b")
        assert isinstance(error, ResponseError)
    assert (await store.run(WHICH), blocking.run(WHICH)) == (before, also)


async def test_commands_sent_together_that_were_cancelled_close_their_connection(proxied):
    """Some of their answers may have been read and others not."""
    proxy, store, _ = proxied
    before = await store.run(WHICH)
    proxy.at(3, DelayReply(5.0))
    sent = proxy.watch(3, only=named("ECHO"))
    many = [calls.command("ECHO", str(number)) for number in range(5)]
    task = asyncio.create_task(store.run_many(many))
    await asyncio.to_thread(sent.wait)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.run(WHICH) != before
    assert await store.run_many(many) == [b"0", b"1", b"2", b"3", b"4"]


async def test_connecting_that_is_cancelled_leaves_no_open_socket(start_server, start_proxy):
    """A supervisor that gives up on a slow server again and again must not run out of sockets."""
    proxy = start_proxy(start_server().url)
    store = open_store(
        parse_url(proxy.url.replace("/0", "/1"))
    )  # choosing a database is an exchange of its own
    proxy.every(1, DelayReply(5.0), only=named("SELECT"))
    sent = proxy.watch(only=named("SELECT"))
    task = asyncio.create_task(store.run(calls.command("PING")))
    await asyncio.to_thread(sent.wait)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await store.close()
    del task
    gc.collect()  # an open one would warn here


async def test_store_closed_under_a_command_keeps_no_connection(proxied):
    """The command gets its answer, and then nothing is left open."""
    proxy, store, blocking = proxied
    await store.run(calls.command("PING"))
    blocking.run(calls.command("PING"))
    proxy.every(1, DelayReply(0.1))
    sent = proxy.watch(2, only=named("ECHO"))
    echo = calls.command("ECHO", "x")
    tasks = [asyncio.create_task(store.run(echo)), asyncio.create_task(asyncio.to_thread(blocking.run, echo))]
    await asyncio.to_thread(sent.wait)

    await store.close()
    blocking.close()

    assert await asyncio.gather(*tasks) == [b"x", b"x"]
    assert (store.link._idle, blocking.link._idle) == ([], [])


async def test_link_opens_no_more_connections_than_its_limit(start_server):
    """A thousand requests at once must not open a thousand connections."""
    server = start_server()
    store = open_store(parse_url(server.url))
    await asyncio.gather(*[store.run(calls.command("PING")) for _ in range(500)])
    assert server.client().info("clients")["connected_clients"] <= CONNECTIONS + 2
    await store.close()


def test_threads_that_share_a_store_get_their_own_answers(start_server):
    """Also while somebody closes what is idle, as every error does."""
    server = start_server()
    store = open_sync_store(parse_url(server.url))
    wrong, ready = [], threading.Barrier(6)

    def ask(thread):
        ready.wait()
        for number in range(300):
            text = f"{thread}-{number}".encode()
            answer = store.run(calls.command("ECHO", text))
            wrong.extend([answer] if answer != text else [])
            if number % 20 == thread:
                store.link.reset()

    threads = [threading.Thread(target=ask, args=(thread,)) for thread in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert server.client().info("clients")["connected_clients"] <= 6 + 2
    store.close()


def test_client_that_is_carried_over_a_fork_says_so(start_server):
    """Two processes on one connection would read each other's replies."""
    store = open_sync_store(parse_url(start_server().url))
    store.run(calls.command("PING"))
    assert in_a_fork(lambda: store.run(calls.command("PING"))) == 0
    assert store.run(calls.command("PING")) == b"PONG"
    store.close()


async def test_async_client_that_is_carried_over_a_fork_says_so(start_server):
    """It has an open connection at hand, which is its parent's."""
    store = open_store(parse_url(start_server().url))
    await store.run(calls.command("PING"))
    assert in_a_fork(lambda: store.run(calls.command("PING")).send(None)) == 0
    assert await store.run(calls.command("PING")) == b"PONG"
    await store.close()


@pytest.mark.parametrize("kind", ["blocking", "async"])
@pytest.mark.parametrize("mark", ["page", "number"])
def test_fork_that_python_does_not_hear_of_is_seen(start_server, mark, kind):
    """By a page that is wiped, or by the process's number where there is none."""
    script = Path(__file__).with_name("carried.py")
    ran = subprocess.run(
        [sys.executable, str(script), start_server().url, mark, kind],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr


def in_a_fork(use):
    """0 where `use` says in a child process that the client is not its own."""
    child = os.fork()
    if child == 0:
        try:
            use()
        except ClosedClientError:
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def test_closed_store_says_so(start_server):
    """Rather than open connections that nobody closes."""
    url = start_server().url
    store, blocking = open_store(parse_url(url)), open_sync_store(parse_url(url))
    await store.close()
    blocking.close()
    with pytest.raises(ClosedClientError):
        await store.run(calls.command("PING"))
    with pytest.raises(ClosedClientError):
        blocking.run(calls.command("PING"))


async def test_wrong_password_is_refused_for_good(start_server):
    """Trying again would not help, and some servers ban who tries too often."""
    server = start_server()
    server.client().config_set("requirepass", "right")
    address = parse_url(server.url.replace("//", "//:wrong@"))
    store, blocking = open_store(address), open_sync_store(address)
    with pytest.raises(StoreRefusedError, match="password"):
        await store.run(calls.command("PING"))
    with pytest.raises(StoreRefusedError, match="password"):
        blocking.run(calls.command("PING"))
    await store.close()
    blocking.close()
