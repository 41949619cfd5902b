"""Shares: what a tenant is charged for, and what an operator's weight may be."""

import pytest

from jobrunner.store import calls


def put_many(queue, letter, number):
    """Jobs of a tenant, in the batches that an enqueue takes."""
    names = [f"{letter}{k:04d}" for k in range(number)]
    for start in range(0, number, 250):
        queue.put(*names[start : start + 250], tenant=letter)
    return names


def cancel_all(queue, names):
    for start in range(0, len(names), 100):
        queue.cancel(*names[start : start + 100])


def remove_all(queue, names):
    for start in range(0, len(names), 100):
        queue.run(calls.remove(queue.keys, names[start : start + 100]))


@pytest.mark.parametrize("undo", [cancel_all, remove_all])
def test_tenant_is_not_charged_for_jobs_that_it_took_back(queue, undo):
    """Whoever cancels a wrong bulk and sends the right one must not wait until the others had as much."""
    put_many(queue, "b", 50)
    undo(queue, put_many(queue, "a", 400))
    put_many(queue, "b2", 1)
    queue.put(*[f"right{k}" for k in range(5)], tenant="a")

    _, ids = queue.take(14)

    assert sum(name.startswith("right") for name in ids) >= 4, ids


def test_tenant_that_took_back_some_keeps_its_order(queue):
    """First in, first out within a tenant holds whatever was taken out of the middle or the end."""
    names = put_many(queue, "a", 10)
    put_many(queue, "b", 10)
    queue.cancel(names[9], names[3])
    queue.put("a9999", tenant="a")

    _, ids = queue.take(20)

    mine = [name for name in ids if name.startswith("a")]
    assert mine == [*names[:3], *names[4:9], "a9999"]


@pytest.mark.parametrize("weight", ["0", "-3", "gold", "", "nan", "inf", "1e-300", "1e300"])
def test_weight_that_is_none_loses_no_job(queue, weight):
    """It is typed by a person while jobs come in: a share is wrong then, and never a place in line."""
    queue.redis.hset(queue.keys["meta"], mapping={"weights": 1, "weight:a": weight})
    put_many(queue, "a", 3)
    put_many(queue, "b", 3)
    for _, score in queue.redis.zrange(queue.keys["wait"], 0, -1, withscores=True):
        assert score == int(score) < 2**53

    _, ids = queue.take(6)

    assert [name for name in ids if name.startswith("a")] == ["a0000", "a0001", "a0002"]
    assert len(ids) == 6


def test_small_tenant_is_served_at_once_beside_a_very_large_one(real_queue):
    """Twenty thousand jobs before fifty: all fifty are among the next hundred and two."""
    queue = real_queue
    put_many(queue, "x", 20_000)
    queue.take(1)
    small = put_many(queue, "s", 50)

    _, ids = queue.take(102)

    assert [name for name in ids if name.startswith("s")] == small
