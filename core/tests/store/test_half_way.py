"""What an error half-way leaves: a script keeps its earlier writes, so none may leave a job in no list."""

import pytest

from jobrunner.errors import StoreCorruptError

from .conftest import job


@pytest.mark.parametrize("part", ["jobs", "wait", "later", "seen", "share", "meta"])
def test_enqueue_that_meets_a_key_of_another_kind_takes_nothing_in(queue, part):
    """A record without a place in line would be answered as known for ever, and never run."""
    queue.redis.set(queue.keys[part], "not ours")
    with pytest.raises(StoreCorruptError):
        queue.enqueue(job("a"), job("b", when="50"))
    assert queue.redis.keys("jr:{q}:*") == [queue.keys[part].encode()]
    queue.redis.delete(queue.keys[part])

    queue.put("a")

    assert queue.take()[1] == ["a"]


@pytest.mark.parametrize("part", ["jobs", "wait", "seen", "share", "meta"])
def test_one_enqueue_that_meets_a_key_of_another_kind_takes_nothing_in(queue, part):
    """The same of the short way."""
    queue.redis.set(queue.keys[part], "not ours")
    with pytest.raises(StoreCorruptError):
        queue.enqueue_alone(job("a"))
    assert queue.redis.keys("jr:{q}:*") == [queue.keys[part].encode()]
    queue.redis.delete(queue.keys[part])

    assert queue.enqueue_alone(job("a")) == "taken"

    assert queue.take()[1] == ["a"]


def test_id_twice_in_a_batch_with_another_payload_is_a_conflict(queue):
    """One of the two would be lost without a word."""
    before = queue.snapshot()
    answer = queue.enqueue(job("n"), job("a"), job("a", payload=b"[9]"))
    assert (answer.status, answer.ids) == ("conflict", ["a"])
    assert queue.snapshot() == before


@pytest.mark.parametrize("field", ["started", "completed", "duration:5"])
def test_counter_that_is_none_is_named_and_loses_no_job(queue, field):
    """Somebody else's text in our counters: jobs are worth more than figures."""
    queue.put("a", "b")
    nonce, _ = queue.take()
    queue.redis.hset(queue.keys["stats"], field, "many")
    request = queue.request(1, plain=[("a", nonce)], counters={"duration:5": 1})

    with pytest.raises(StoreCorruptError):
        queue.send(request)
    answer = queue.send(request)

    assert [one.id for one in answer.jobs] == ["b"], "it was reserved, and sent again it is told"
    assert queue.where() == {"a": "completed", "b": "active"}
    queue.redis.hdel(queue.keys["stats"], field)


def test_crashed_jobs_come_back_spread_over_time(queue):
    """When a machine dies all its jobs are found at once; at once again, they would take the next one with them."""
    for start in range(0, 200, 100):
        queue.put(*[f"j{start + k}" for k in range(100)])
    queue.take(200), queue.lapse()

    assert queue.recover(limit=500, delays=(60_000,), seed=12345).total == 200

    waits = sorted(queue.redis.zscore(queue.keys["later"], f"j{k}") - queue.now for k in range(200))
    assert waits[0] >= 30_000
    assert waits[-1] <= 60_000
    tenths = {int((wait - 30_000) // 3_001) for wait in waits}
    assert tenths == set(range(10)), "some in each tenth of the span"


@pytest.mark.parametrize("seed", [0, 1, 2**30, 2**31 - 1])
def test_wait_after_a_crash_never_leaves_its_bounds(queue, seed):
    """Whatever chance the worker sends."""
    queue.put(*[f"j{k}" for k in range(50)])
    queue.take(50), queue.lapse()
    queue.recover(delays=(1000,), seed=seed)
    waits = [queue.redis.zscore(queue.keys["later"], f"j{k}") - queue.now for k in range(50)]
    assert 500 <= min(waits) <= max(waits) <= 1000
    assert len(set(waits)) > 20
