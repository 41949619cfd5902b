"""Clusters: of one node, which checks every key's slot; of three, whose slots move while commands are under way."""

import asyncio
import random
import time

import pytest
from rig.servers import ServerOptions

from jobrunner.errors import OutcomeUnknownError, SettingsError, StoreRefusedError, StoreUnavailableError
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
    yield calls.repair(keys, ["b", "ghost"], [("b", b"x")]), lambda got: got.verdicts == ["right", "right"]
    yield calls.adjust(keys, {"waiting|t1": (7, 1)}), lambda got: got == 0
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


# ---- three nodes -------------------------------------------------------------------------------------------------


@pytest.fixture
def three(start_cluster):
    """A cluster of three primaries, and a store of each kind that knows only the first node."""
    cluster = start_cluster()
    return cluster, parse_url(f"redis+cluster://127.0.0.1:{cluster.nodes[0].port}")


def names_by_node(cluster, store, number=40):
    """A queue's name for each node."""
    found = {}
    for k in range(number):
        found.setdefault(cluster.owner(cluster.slot(store.keys(f"q{k}")["jobs"])).port, f"q{k}")
    return found


async def test_queues_spread_over_the_nodes_and_the_fleet_is_found_from_anywhere(three):
    """One queue is one node's work; a cluster is only worth its nodes where queues are on different ones."""
    cluster, address = three
    store, blocking = open_store(address), open_sync_store(address)
    names = names_by_node(cluster, store)
    assert len(names) == 3
    for name in names.values():
        await store.run(calls.enqueue(store.keys(name), [job("a")]))
        blocking.run(calls.enqueue(store.keys(name), [job("b")]))
    for node in cluster.nodes:
        assert node.client().hkeys(store.keys(names[node.port])["jobs"]) == [b"a", b"b"]

    mixed = [calls.command("HGET", store.keys(name)["jobs"], "a") for name in names.values()]
    mixed += [calls.command("HSET", store.fleet.queues, "x", "1"), *mixed]
    assert [one is not None for one in await store.run_many(mixed)] == [True] * 7
    assert len(await store.run_everywhere(calls.command("PING"))) == 3
    assert blocking.run_many(mixed)[0] == (await store.run_many(mixed))[0]
    await store.close()
    blocking.close()


async def test_moved_slot_is_followed_and_remembered(three):
    """A redirection says that nothing happened: it is nobody's error, and the next command goes there at once."""
    cluster, address = three
    store, blocking = open_store(address), open_sync_store(address)
    keys = store.keys("q")
    await store.run(calls.enqueue(keys, [job("a")]))
    blocking.run(calls.counts(keys))
    slot = cluster.slot(keys["jobs"])
    source = cluster.owner(slot)
    target = next(node for node in cluster.nodes if node is not source)

    cluster.move_slot(slot, to=target, step=10)

    assert (await store.run(calls.counts(keys))).waiting == 1
    assert blocking.run(calls.counts(keys)).waiting == 1
    assert (await store.run_many([calls.command("HLEN", keys["jobs"])])) == [1]
    await store.run(calls.counts(keys))
    before = moved(source)
    for _ in range(5):
        await store.run(calls.counts(keys))
        blocking.run(calls.counts(keys))
    assert moved(source) == before, "it was asked again"
    await store.close()
    blocking.close()


def moved(node):
    """How often a node sent somebody elsewhere."""
    return int(node.client().info("errorstats").get("errorstat_MOVED", {}).get("count", 0))


@pytest.mark.cluster
async def test_slot_that_is_half_moved_answers_reads_and_asks_scripts_to_wait(three):
    """While a queue's keys are on two nodes a script cannot run: it is told to try again, and nothing has happened."""
    cluster, address = three
    store, blocking = open_store(address), open_sync_store(address)
    keys = store.keys("q")
    await store.run(calls.enqueue(keys, [job("a"), job("b", when="60000")]))
    target = next(node for node in cluster.nodes if node is not cluster.owner(cluster.slot(keys["jobs"])))
    read, seen, steps = calls.command("HGET", keys["jobs"], "a"), set(), 0

    def look():
        nonlocal steps
        steps += 1
        seen.add(blocking.run(read) is not None)
        with pytest.raises(StoreUnavailableError, match="Multiple keys"):
            blocking.run(calls.enqueue(keys, [job("c")]))

    cluster.move_slot(cluster.slot(keys["jobs"]), to=target, between=look)

    assert steps >= 5
    assert seen == {True}, "a record was not found, on whichever node it was"
    counts = await store.run(calls.counts(keys))
    assert (counts.waiting, counts.delayed, counts.total) == (1, 1, 2), "what was refused did not happen"
    await store.close()
    blocking.close()


@pytest.mark.cluster
async def test_slot_that_nobody_serves_says_so_and_the_rest_goes_on(three):
    """A cluster that lost a node still serves the queues of the others, where it is set up so."""
    cluster, address = three
    store, blocking = open_store(address), open_sync_store(address)
    for node in cluster.nodes:
        node.client().config_set("cluster-require-full-coverage", "no")
    names = names_by_node(cluster, store)
    for name in names.values():
        await store.run(calls.counts(store.keys(name)))
        blocking.run(calls.counts(store.keys(name)))
    dead = cluster.nodes[2]
    dead.kill()

    for _ in range(3):
        for name in (names[cluster.nodes[0].port], names[cluster.nodes[1].port]):
            await again(lambda name=name: store.run(calls.counts(store.keys(name))))
        with pytest.raises((StoreUnavailableError, OutcomeUnknownError)):
            await store.run(calls.counts(store.keys(names[dead.port])))
        with pytest.raises((StoreUnavailableError, OutcomeUnknownError)):
            blocking.run(calls.counts(store.keys(names[dead.port])))
    dead.restart()
    assert (await again(lambda: store.run(calls.counts(store.keys(names[dead.port]))))).total == 0
    await store.close()
    blocking.close()


async def again(call):
    """As clients do."""
    for _ in range(300):
        try:
            return await call()
        except (OutcomeUnknownError, StoreUnavailableError):
            await asyncio.sleep(0.05)
    raise AssertionError("it did not come back")


async def test_server_that_is_no_cluster_is_refused_in_one_line(start_server):
    """Somebody wrote redis+cluster:// for a single server."""
    server = start_server("valkey")
    url = server.url.replace("redis://", "redis+cluster://").removesuffix("/0")
    store, blocking = open_store(parse_url(url)), open_sync_store(parse_url(url))
    with pytest.raises(StoreRefusedError, match="redis://"):
        await store.run(calls.counts(store.keys("q")))
    with pytest.raises(StoreRefusedError, match="redis://"):
        blocking.run(calls.counts(store.keys("q")))
    await store.close()
    blocking.close()


def test_certificate_of_a_cluster_that_is_not_there_is_named_at_once(tmp_path):
    """As for a single server: before anything is sent."""
    with pytest.raises(SettingsError, match="ssl_ca_certs"):
        open_store(parse_url(f"rediss+cluster://127.0.0.1:1?ssl_ca_certs={tmp_path}/gone.pem"))
