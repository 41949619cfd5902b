"""A cluster of one node: it checks every key's slot, and answers to a driver that finds its own way."""

import asyncio
import random
import time

import pytest
from rig.servers import ServerOptions

from jobrunner.errors import OutcomeUnknownError, StoreUnavailableError
from jobrunner.names import new_nonce
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.calls import Exchange, NoteLine, Settlement
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.keys import State

from .conftest import job

SLOTS = 16_384


@pytest.fixture
def cluster(start_server):
    """The address of a cluster whose one node has all slots."""
    server = start_server(options=ServerOptions(cluster=True))
    client = server.client()
    client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
    until = time.monotonic() + 20
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        assert time.monotonic() < until, "the cluster does not come up"
        time.sleep(0.02)  # nothing tells of it
    return parse_url(server.url.replace("redis://", "redis+cluster://").removesuffix("/0"))


def life(keys):
    """Calls that use each script, with what each should say."""
    nonce, then = new_nonce(), new_nonce()

    def exchange(serial, nonce, **more):
        return calls.exchange(
            keys, Exchange(consumer="w1", serial=serial, nonce=nonce, lease_ms=60_000, want=5, **more)
        )

    yield (
        calls.enqueue(keys, [job("a"), job("b"), job("c", when="60000"), job("d")]),
        lambda got: got.ids == [],
    )
    yield exchange(1, nonce), lambda got: [one.id for one in got.jobs] == ["a", "b", "d"]
    yield calls.extend(keys, 60_000, [("a", nonce)]), lambda got: got.lost == []
    note = NoteLine("a", nonce, "step", b"[1]")
    yield calls.note(keys, [note], max_steps=100, max_logs=100), lambda got: got.lost == []
    settle = [Settlement("b", nonce, "fail", 0, b"{}"), Settlement("d", nonce, "park", 0, b"{}")]
    yield exchange(2, then, plain=["a", nonce], settlements=settle), lambda got: got.refused == {}
    yield calls.cancel(keys, ["c"], reason="x", entry=b"{}"), lambda got: got == ["cancelled"]
    yield calls.retry(keys, State.FAILED, ["b"], forgive=True), lambda got: got == ["b"]
    recover = calls.recover(keys, lease_ms=60_000, limit=10, max_crashes=3, seed=1, delays_ms=[10])
    yield recover, lambda got: got.total == 0
    yield calls.remove(keys, ["d"]), lambda got: got == ["d"]
    yield calls.trim(keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10, own_ms=1), lambda got: got == 1
    yield calls.prune(keys, 10), lambda got: got in (0, 1)
    yield calls.counts(keys), lambda got: (got.waiting, got.cancelled, got.total) == (1, 1, 2)


async def test_every_script_runs_in_a_cluster(cluster):
    """Each names all its keys, and they are in one slot; queues lie in different ones."""
    store, blocking = open_store(cluster), open_sync_store(cluster)
    for name in ("first", "second"):
        for call, is_right in life(store.keys(name)):
            assert is_right(await store.run(call)), call.script
        for call, is_right in life(blocking.keys(f"{name}.sync")):
            assert is_right(blocking.run(call)), call.script
    await store.close()
    blocking.close()


async def test_cancelled_command_never_leaves_its_reply_for_another_in_a_cluster(cluster):
    """There the connections are the driver's."""
    store, chance, wrong, given_up = open_store(cluster), random.Random(1), [], 0
    keys = [store.keys(f"q{number}") for number in range(7)]

    async def ask(number):
        nonlocal given_up
        key = keys[number % 7]["meta"]
        try:
            async with asyncio.timeout(chance.uniform(0, 0.004)):
                await store.run(calls.command("HSET", key, str(number), number))
                answer = await store.run(calls.command("HGET", key, str(number)))
        except (TimeoutError, OutcomeUnknownError, StoreUnavailableError):
            given_up += 1
        else:
            wrong.extend([number] if answer != str(number).encode() else [])

    await store.run(calls.command("HGET", keys[0]["meta"], "x"))
    for start in range(0, 1000, 10):
        await asyncio.gather(*[ask(number) for number in range(start, start + 10)])
    assert wrong == []
    assert 0 < given_up < 1000
    await store.close()
