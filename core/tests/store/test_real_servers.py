"""What only a real server shows: full memory, forgotten scripts, wrong types, large numbers of jobs."""

import pytest

from jobrunner.errors import StoreCorruptError, StoreFullError
from jobrunner.model import State
from jobrunner.store import calls

from .conftest import job


@pytest.fixture
def full_queue(real_queue):
    """A queue with jobs in every state, on a server that is full."""
    queue = real_queue
    queue.put(*[f"j{k}" for k in range(20)], payload=b'"' + b"x" * 1000 + b'"')
    nonce, ids = queue.take(10)
    queue.settle(*[(name, nonce) for name in ids[:4]])
    queue.redis.config_set("maxmemory", queue.redis.info("memory")["used_memory"] - 100_000)
    queue.held = [(name, nonce) for name in ids[4:]]
    yield queue
    queue.redis.config_set("maxmemory", 0)


def test_full_server_refuses_producers_and_lets_workers_drain(full_queue):
    """Redis full of work must empty itself with no operator."""
    queue = full_queue
    before = queue.snapshot()
    with pytest.raises(StoreFullError):
        queue.enqueue(job("new"))
    assert queue.snapshot() == before

    assert queue.extend(*queue.held).lost == []
    assert queue.note((*queue.held[0], "step", b'["s",1]')).lost == []
    assert queue.settle(queue.held[0], (*queue.held[1], "retry", 0, b'{"kind":"note","what":"x"}')) == {}
    assert queue.cancel("j19") == ["cancelled"]
    assert queue.run(calls.trim(queue.keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10)) == 5
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


@pytest.mark.parametrize("part", ["jobs", "wait", "share", "stats", "meta", "tally"])
def test_key_of_another_kind_is_named_as_corrupt(real_queue, part):
    """Somebody else's key under our name must be an error that says so, not a retry for ever."""
    real_queue.redis.set(real_queue.keys[part], "not ours")
    with pytest.raises(StoreCorruptError, match="enqueue"):
        real_queue.put("a")


def test_large_sets_pass_through_every_script(real_queue):
    """Lua's unpack fails in the thousands, so every script works in bounded steps."""
    queue, number = real_queue, 20_000
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
