"""Taking jobs in: all or nothing, and never twice."""

import pytest

from jobrunner.errors import StoreCorruptError
from jobrunner.store import calls
from jobrunner.store.calls import NewJob

from .conftest import job

FP, OTHER_FP = "a" * 22, "b" * 22


def test_job_waits_with_the_servers_time_before_its_record(queue):
    """Scripts read time, priority and tenant from the front, and never decode the payload."""
    queue.put("a")

    assert queue.where() == {"a": "waiting"}
    assert queue.redis.hget(queue.keys["jobs"], "a") == b'[%d,10,"t1",1,{}]' % queue.now


def test_id_again_is_answered_and_not_doubled(queue):
    """A producer whose answer was lost sends again."""
    queue.put("a", "b")
    before = queue.snapshot()

    assert queue.enqueue(job("a"), job("b")).ids == ["a", "b"]
    assert queue.snapshot() == before
    assert queue.enqueue(job("b"), job("c"), job("c")).ids == ["b", "c"]
    assert sorted(queue.where()) == ["a", "b", "c"]


def test_other_payload_under_an_id_is_a_conflict_and_nothing_goes_in(queue):
    """All or nothing: the job beside the one in conflict stays out."""
    queue.put("a")
    before = queue.snapshot()

    answer = queue.enqueue(job("new"), job("a", payload=b"[9]"))

    assert (answer.status, answer.ids) == ("conflict", ["a"])
    assert queue.snapshot() == before


def test_fingerprint_decides_where_there_is_one(queue):
    """Another priority or time is still the same job; another fingerprint is not."""
    queue.put("a", fingerprint=FP)

    assert queue.enqueue(job("a", priority=3, fingerprint=FP)).ids == ["a"]
    assert queue.enqueue(job("a", fingerprint=OTHER_FP)).status == "conflict"


@pytest.mark.parametrize("when", ["0", "-5", "@1"])
def test_job_whose_time_has_come_waits(queue, when):
    """A time in the past is now."""
    queue.put("a", when=when)
    assert queue.where() == {"a": "waiting"}


def test_later_job_is_delayed_until_its_time(queue):
    """Relative to the server's clock, or at a time of it."""
    queue.put("a", when="500")
    queue.put("b", when=f"@{queue.now + 700}")

    assert queue.where() == {"a": "delayed", "b": "delayed"}
    assert queue.redis.zrange(queue.keys["later"], 0, -1, withscores=True) == [
        (b"a", queue.now + 500.0),
        (b"b", queue.now + 700.0),
    ]


def test_full_queue_refuses_the_whole_batch(queue):
    """The cap counts what waits and what is delayed; known ids do not count."""
    queue.put("a")
    queue.put("b", when="50")

    assert queue.enqueue(job("c"), job("d"), max_waiting=3).waiting == 2
    assert sorted(queue.where()) == ["a", "b"]
    assert queue.enqueue(job("a"), job("c"), max_waiting=3).status == "ok"


def test_operators_cap_beats_the_declared_one(queue):
    """A cap that is set while workers run holds at once."""
    queue.redis.hset(queue.keys["meta"], "max_waiting", 1)
    queue.put("a")
    assert queue.enqueue(job("b"), max_waiting=100).status == "full"


def test_bad_record_or_time_changes_nothing(queue):
    """What a script cannot read is refused before the first write."""
    before = queue.snapshot()
    times = [
        NewJob("x", when, job("x").record)
        for when in ("soon", "", "@", "@soon", "nan", "@nan", "inf", "1e99")
    ]
    for bad in (NewJob("x", "0", b"{}]"), *times):
        with pytest.raises(StoreCorruptError, match="of x"):
            queue.enqueue(job("a"), bad)
    assert queue.snapshot() == before


def test_payload_is_opaque(queue):
    """Large numbers, empty lists, floats and quotes would not survive a JSON library in Lua."""
    payload = '{"n":12345678901234567890,"e":[],"f":1.0,"s":"\\u0000 %d %s | \\"t9\\",1,ä"}'.encode()
    queue.put("a", payload=payload)

    (reserved,) = queue.send(queue.request(1)).jobs

    assert reserved.record.endswith(payload + b"]")


def test_one_token_wakes_one_consumer(queue):
    """A token is pushed when a job can run, or is due before all others; never a second one."""
    wake = queue.keys["wake"]
    queue.put("a", "b")
    queue.put("c")
    assert queue.redis.llen(wake) == 1
    queue.redis.delete(wake)

    queue.put("d", when="500")
    assert queue.redis.lpop(wake)
    queue.put("e", when="900")
    assert queue.redis.llen(wake) == 0, "it is due after one that is known of"
    queue.put("f", when="100")
    assert queue.redis.llen(wake) == 1


def test_trimmed_id_is_still_recognised(queue):
    """Its record is gone, and the repeated enqueue must not run it again."""
    queue.put("own")
    queue.put("chosen", fingerprint=FP)
    nonce, _ = queue.take(2)
    queue.settle(("own", nonce), ("chosen", nonce), keep=0, own_ms=120_000, chosen_ms=86_400_000)
    assert queue.where() == {}

    queue.tick(60_000)
    assert queue.enqueue(job("own")).ids == ["own"]
    assert queue.enqueue(job("chosen", fingerprint=OTHER_FP)).ids == ["chosen"]
    queue.tick(120_000)
    assert queue.enqueue(job("own")).ids == [], "two minutes after its enqueue an id of ours is free"
    assert queue.enqueue(job("chosen", fingerprint=FP)).ids == ["chosen"]
    queue.tick(86_400_000)
    assert queue.enqueue(job("chosen", fingerprint=FP)).ids == []


def test_id_of_an_old_job_is_not_remembered(queue):
    """Nobody sends a job again that was enqueued an hour ago; a backlog must not fill the memory with ids."""
    queue.put("own")
    queue.tick(3_600_000)
    nonce, _ = queue.take()
    queue.settle(("own", nonce), keep=0)
    assert queue.redis.zcard(queue.keys["seen"]) == 0


def test_remembered_ids_are_forgotten_in_bounded_steps(queue):
    """A busy queue remembers millions of them; to forget all at once would stop the server."""
    queue.put(*[f"j{k}" for k in range(5)])
    nonce, ids = queue.take(5)
    queue.settle(*[(name, nonce) for name in ids], keep=0, own_ms=1000)
    assert queue.run(calls.prune(queue.keys, 10)) == 0

    queue.tick(1000)

    assert [queue.run(calls.prune(queue.keys, 2)) for _ in range(4)] == [2, 2, 1, 0]
    assert queue.redis.zcard(queue.keys["seen"]) == 0


def test_job_at_a_time_is_due_by_the_servers_clock(queue):
    """A producer whose clock is wrong still gets the time it named."""
    queue.put("a", when=f"@{queue.now + 1000}")
    queue.tick(999)
    assert queue.take()[1] == []
    queue.tick(1)
    assert queue.take()[1] == ["a"]


def test_cap_of_bytes_counts_what_waits_is_delayed_and_is_held(queue):
    """A few very large jobs fill a store as well as very many small ones."""
    queue.run(calls.limit(queue.keys, {"pause:t9": 1}))
    big = b'"' + b"x" * 1000 + b'"'
    queue.put("w", payload=big)
    queue.put("l", payload=big, when="500")
    queue.put("h", payload=big, tenant="t9")
    size = sum(len(raw) for raw in queue.hashes("jobs")["jobs"].values())

    answer = queue.enqueue(job("n", payload=big), max_bytes=size + 1000)
    assert (answer.status, answer.waiting, answer.max_bytes) == ("full", 3, size + 1000)
    assert abs(answer.bytes - size) < 100
    assert queue.enqueue(job("n"), max_bytes=size + 1000).status == "ok"


def test_cap_of_bytes_goes_by_a_sample_of_a_long_line(queue):
    """Roughly, and at the same cost however long the line is."""
    for start in range(0, 900, 300):
        queue.put(*[f"j{start + k:04d}" for k in range(300)], payload=b'"' + b"x" * 100 + b'"')
    size = sum(len(raw) for raw in queue.hashes("jobs")["jobs"].values())
    assert queue.enqueue(job("n"), max_bytes=int(size * 0.9)).status == "full"
    assert queue.enqueue(job("n"), max_bytes=int(size * 1.1)).status == "ok"


def test_cap_of_bytes_that_an_operator_sets_goes_before_the_declared_one(queue):
    """While it runs, and 0 is none."""
    queue.put("a")
    queue.run(calls.limit(queue.keys, {"max_waiting_bytes": 0}))
    assert queue.enqueue(job("b"), max_bytes=10).status == "ok"
    queue.run(calls.limit(queue.keys, {"max_waiting_bytes": 10}))
    assert queue.enqueue(job("c")).status == "full"


def test_first_job_of_an_empty_queue_may_not_be_larger_than_all_that_it_takes(queue):
    """Nothing to sample is no reason to let it pass."""
    assert queue.enqueue(job("a", payload=b'"' + b"x" * 500 + b'"'), max_bytes=400).status == "full"
    assert queue.where() == {}
