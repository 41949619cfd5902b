"""What only a real server shows: full memory, forgotten scripts, wrong types, large numbers of jobs."""

import pytest

from jobrunner.errors import StoreCorruptError, StoreFullError
from jobrunner.model import State
from jobrunner.store import calls
from jobrunner.store.calls import NoteLine
from jobrunner.store.scripts import SCRIPT_KEYS

from .conftest import LEASE, job


@pytest.fixture
def full_queue(real_queue):
    """A queue with jobs in every state, on a server that is full."""
    queue = real_queue
    queue.put(*[f"j{k}" for k in range(20)], payload=b'"' + b"x" * 1000 + b'"')
    nonce, ids = queue.take(10)
    queue.settle(*[(name, nonce) for name in ids[:4]])
    # Half, since what other tests left behind, such as buffers of their clients, may still become free.
    queue.redis.config_set("maxmemory", queue.redis.info("memory")["used_memory"] // 2)
    queue.held = [(name, nonce) for name in ids[4:]]
    yield queue
    queue.redis.config_set("maxmemory", 0)


def test_full_server_refuses_producers_and_lets_workers_drain(full_queue):
    """Redis full of work must empty itself with no operator."""
    queue = full_queue
    before = queue.snapshot()
    with pytest.raises(StoreFullError):
        queue.enqueue(job("new"))
    with pytest.raises(StoreFullError):
        queue.enqueue_alone(job("new"))
    assert queue.snapshot() == before

    assert queue.extend(*queue.held).lost == []
    assert queue.note((*queue.held[0], "step", b'["s",1]')).lost == []
    assert queue.settle(queue.held[0], (*queue.held[1], "retry", 0, b'{"kind":"note","what":"x"}')) == {}
    assert queue.cancel("j19") == ["cancelled"]
    assert queue.run(calls.trim(queue.keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10)) == 5
    assert queue.run(calls.remove(queue.keys, ["j4"])) == [], "it runs"
    assert queue.retry(State.CANCELLED, "j19") == ["j19"]
    assert queue.run(calls.remove(queue.keys, ["j19"])) == ["j19"]
    assert queue.run(calls.prune(queue.keys, 10)) == 0
    assert queue.counts().waiting == 10
    nonce, ids = queue.take(20)
    assert len(ids) == 10
    assert queue.settle(*[(name, nonce) for name in ids]) == {}
    full = queue.redis.config_get("maxmemory")["maxmemory"]
    queue.redis.config_set("maxmemory", 0)  # for the test's own clock, which is a key
    queue.lapse()
    queue.redis.config_set("maxmemory", full)
    assert queue.recover().total == 4


def test_scripts_that_the_server_forgot_are_sent_again(real_queue):
    """After a restart, a failover, or SCRIPT FLUSH."""
    real_queue.put("a")
    real_queue.redis.script_flush()
    nonce, ids = real_queue.take()
    real_queue.redis.script_flush()
    assert ids == ["a"]
    assert real_queue.settle(("a", nonce)) == {}


@pytest.mark.parametrize("name", SCRIPT_KEYS)
def test_key_of_another_kind_is_named_as_corrupt(real_queue, name):
    """Somebody else's key under one of our names must be an error that says so, not a retry for ever."""
    queue, told = real_queue, []
    for part in SCRIPT_KEYS[name]:
        queue.redis.flushall()
        queue.tick(0)
        call = one_call(queue)[name]
        key = {"from": queue.keys["dead"], "list": queue.keys["done"], "memory": queue.keys.memory("w1")}
        queue.redis.delete(planted := key.get(part) or queue.keys[part])
        queue.redis.set(planted, "not ours")
        try:
            queue.run(call)
        except StoreCorruptError as error:
            told.append(str(error).split(": ")[0])
    assert set(told) == {name}, "no key of the script is looked at, or another one is blamed"


def one_call(queue):
    """A queue with a job in each state, and a call of each script that has something to do there."""
    queue.put("f", "c", "x", "p", "run", "wait")
    nonce, _ = queue.take(5)
    queue.settle(
        ("c", nonce),
        *[(one[0], nonce, one, 0, b"") for one in ("fail", "park")],
        ("x", nonce, "cancel", 0, b""),
    )
    queue.put("later", when="50")
    lease = {"lease_ms": LEASE, "max_crashes": 3, "seed": 1, "delays_ms": [10]}
    note = NoteLine("run", nonce, "step", b"[1]")
    return {
        "enqueue": calls.enqueue(queue.keys, [job("new"), job("newer", when="70")]),
        "enqueue_one": calls.enqueue_one(queue.keys, job("alone")),
        "exchange": calls.exchange(
            queue.keys, queue.request(3, settle=[("run", nonce, "retry", 5, b"{}")], keep=0)
        ),
        "extend": calls.extend(queue.keys, LEASE, [("run", nonce)]),
        "recover": calls.recover(queue.keys, limit=5, **lease),
        "note": calls.note(queue.keys, [note], max_steps=100, max_logs=100),
        "cancel": calls.cancel(queue.keys, ["wait", "run"], reason="x", entry=b"{}"),
        "retry": calls.retry(queue.keys, State.FAILED, ["f"], forgive=True),
        "remove": calls.remove(queue.keys, ["c", "f", "p"]),
        "trim": calls.trim(queue.keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10, own_ms=1000),
        "prune": calls.prune(queue.keys, 5),
        "limit": calls.limit(queue.keys, {"pause:t1": 1}),
        "turn": calls.turn(queue.keys),
        "repair": calls.repair(queue.keys, ["wait", "ghost", "c"], [("run", b"not so")]),
        "adjust": calls.adjust(queue.keys, {"waiting|t1": (None, 2)}),
        "heads": calls.heads(queue.keys, ["f"]),
        "causes": calls.causes(queue.keys, ["f"]),
        "counts": calls.counts(queue.keys),
    }


def test_every_script_takes_what_its_header_allows(real_queue):
    """Lua's unpack fails in the thousands; a tenant a job makes the most of every list."""
    queue, lot = real_queue, 250
    for start in range(0, 3 * lot, lot):
        queue.enqueue(*[job(f"j{k}", tenant=f"t{k}") for k in range(start, start + lot)])
    queue.enqueue(*[job(f"l{k}", tenant=f"l{k}", when="1") for k in range(lot)])
    queue.tick(1)
    nonce, ids = queue.take(lot, promote=0)
    notes = [(name, nonce, kind, b"x\n") for name in ids for kind in ("step", "log")]
    assert queue.note(*notes).lost == []
    assert queue.extend(*[(name, nonce) for name in ids]).lost == []
    outcomes = ("complete", "retry", "snooze", "release", "fail", "cancel", "park", "crash")
    settle = [(name, nonce, outcomes[k % 8], 5, b"{}") for k, name in enumerate(ids)]

    answer = queue.send(queue.request(lot, settle=settle, promote=lot, keep=0))
    again, _ = queue.send(queue.request(0, promote=lot)), queue.tick(10)

    assert (len(answer.jobs), answer.refused, again.refused) == (lot, {}, {})
    assert queue.tally() == queue.recount()
    queue.take(lot), queue.lapse()
    assert queue.recover(limit=500).total > lot
    names = queue.ids("wait")[:100]
    assert queue.cancel(*names) == ["cancelled"] * 100
    assert queue.retry(State.CANCELLED, *names) == names
    assert queue.run(calls.trim(queue.keys, State.DELAYED, keep=0, keep_ms=-1, limit=500)) > lot
    assert queue.tally() == queue.recount()


def test_record_that_somebody_wrote_over_stops_nobody(real_queue):
    """Its job is settled and trimmed as any other; the scripts only look at what they can read."""
    queue = real_queue
    queue.put("a", "b")
    queue.redis.hset(queue.keys["jobs"], "a", "not ours")
    nonce, ids = queue.take(2)
    assert ids == ["a", "b"]
    assert queue.settle(*[(name, nonce) for name in ids], keep=0) == {}
    assert (queue.where(), queue.redis.hlen(queue.keys["jobs"])) == ({}, 0)


@pytest.mark.parametrize("number", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_large_sets_pass_through_every_script(real_queue, number):
    """However many there are, each step is bounded."""
    queue = real_queue
    for start in range(0, number, 500):
        queue.put(
            *[f"j{k}" for k in range(start, start + 500)],
            tenant=f"t{start % 7}",
            when="1" if start % 1000 else "0",
        )
    queue.tick(10)
    done = 0
    held = []
    while done < number:
        request = queue.request(250, plain=held, promote=100, keep=100)
        held = [(one.id, request.nonce) for one in queue.send(request).jobs]
        done += len(held)
        assert held, queue.counts()
        assert queue.extend(*held).lost == []
    queue.settle(*held, keep=100)
    while queue.counts().completed > 100:
        queue.run(calls.trim(queue.keys, State.COMPLETED, keep=100, keep_ms=10_000, limit=500))
    assert queue.counts().total == 100
    assert queue.tally() == queue.recount()
    assert queue.redis.hlen(queue.keys["jobs"]) == 100


def test_the_servers_own_clock_is_used_when_no_other_is_given(real_server):
    """The virtual clock of the tests replaces one expression, and nothing else."""
    import time

    from jobrunner.store.scripts import SERVER_CLOCK

    from .conftest import Bench

    bench = Bench(real_server, clock=SERVER_CLOCK)
    bench.put("a")
    at = int(bench.redis.hget(bench.keys["jobs"], "a").split(b",")[0][1:])
    assert abs(at - time.time() * 1000) < 60_000
