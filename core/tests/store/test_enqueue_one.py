"""The short way in for one job: it does what the long one does, or nothing."""

import pytest

from jobrunner.errors import StoreCorruptError
from jobrunner.model import State
from jobrunner.names import new_job_id
from jobrunner.store import calls
from jobrunner.store.calls import NewJob

from .conftest import job

RULES = [
    ("max_waiting", 100),
    ("max_waiting_bytes", 100_000),
    ("pause:t1", 1),
    ("max_active:t1", 2),
    ("rate:t1", "5 1000 5"),
    ("weight:t1", 3),
]


def test_job_waits_with_the_servers_time_before_its_record(queue):
    """As any other."""
    assert queue.enqueue_alone(job("a")) == "taken"

    assert queue.where() == {"a": "waiting"}
    assert queue.redis.hget(queue.keys["jobs"], "a") == b'[%d,10,"t1",1,{}]' % queue.now
    assert queue.redis.lrange(queue.keys["wake"], 0, -1) == [b"1"]


def test_short_way_leaves_what_the_long_one_leaves(queue):
    """Two ways that drift apart would break order and counts."""
    jobs = [
        job(f"j{k}", tenant=("a", "b", "", "a")[k % 4], priority=(10, 3, 100, 0)[k // 3]) for k in range(12)
    ]
    left = []
    for enqueue in (queue.enqueue_alone, queue.enqueue):
        queue.redis.delete(*queue.redis.keys("jr:{q}:*"), "jr:{q}:x")
        for one in jobs[:6]:
            enqueue(one)
        queue.put("back", "gone", tenant="b", priority=100)
        nonce, ids = queue.take(3)  # the first in line are out, and one of them comes back to the front
        queue.settle((ids[0], nonce, "release", 0, b""), *[(name, nonce) for name in ids[1:]])
        for one in jobs[6:]:
            enqueue(one)
        found = queue.snapshot()
        left.append({key: value for key, value in found.items() if ":memory:" not in key})

    assert left[0] == left[1]


def test_known_id_is_left_to_the_long_way(queue):
    """There, or ended and remembered; whatever the payload is."""
    queue.put("there", "trimmed")
    nonce, _ = queue.take(2)
    queue.settle(("trimmed", nonce))
    queue.run(
        calls.trim(queue.keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10, own_ms=1000, chosen_ms=1000)
    )
    before = queue.snapshot()

    assert queue.enqueue_alone(job("there", payload=b"[9]")) == "known"
    assert queue.enqueue_alone(job("there")) == "known"
    assert queue.enqueue_alone(job("trimmed")) == "known"

    assert queue.snapshot() == before
    assert queue.enqueue(job("trimmed")).ids == ["trimmed"]


@pytest.mark.parametrize("tenant", ["t1", "new", ""])
def test_tenant_is_not_charged_for_a_job_that_is_known(queue, tenant):
    """Or whoever asks again and again for the same job comes behind everybody else with the next."""
    queue.put("there", "other")
    before = queue.snapshot()

    for _ in range(3):
        assert queue.enqueue_alone(job("there", tenant=tenant)) == "known"

    assert queue.snapshot() == before


@pytest.mark.parametrize("priority", [0, 10, 100])
def test_place_in_line_is_written_to_the_last_digit(queue, priority):
    """Scores have up to sixteen of them; two jobs that share one would be in the order of their names."""
    place = (100 - priority) * 2**46 + 2**45 + 64 * 3 + 1
    queue.redis.zadd(queue.keys["share"], {f'{priority},"t1",': place})

    for name in ("b", "a"):
        assert queue.enqueue_alone(job(name, priority=priority)) == "taken"
    queue.enqueue(job("long", priority=priority))

    scores = dict(queue.redis.zrange(queue.keys["wait"], 0, -1, withscores=True))
    assert scores == {b"b": place, b"a": place + 64, b"long": place + 128}
    assert queue.take(3)[1] == ["b", "a", "long"]


def test_call_that_comes_late_does_not_do_a_job_again(queue):
    """Its answer was lost, the long way led in meanwhile, the job was done and forgotten; then the network lets go of it."""
    new = NewJob(new_job_id(), "0", job("x").record)
    assert queue.enqueue(new).status == "ok"
    nonce, _ = queue.take()
    queue.settle((new.id, nonce))
    queue.run(calls.trim(queue.keys, State.COMPLETED, keep=0, keep_ms=-1, limit=10, own_ms=120_000))

    assert queue.enqueue_alone(new) == "known"
    assert queue.where() == {}


@pytest.mark.parametrize(("field", "value"), RULES)
def test_queue_with_rules_is_left_to_the_long_way(queue, field, value):
    """Whatever an operator sets; and not any more once it is cleared."""
    queue.run(calls.limit(queue.keys, {field: value}))
    queue.run(calls.limit(queue.keys, {field: value}))
    before = queue.snapshot()

    assert queue.enqueue_alone(job("a")) == "limited"

    assert queue.snapshot() == before
    queue.run(calls.limit(queue.keys, {field: ""}))
    assert queue.enqueue_alone(job("a")) == "taken"


def test_queue_with_two_rules_has_rules_until_both_are_gone(queue):
    """Each of them says no."""
    queue.run(calls.limit(queue.keys, {"max_waiting": 5, "pause:t1": 1}))
    queue.run(calls.limit(queue.keys, {"pause:t1": ""}))
    assert queue.enqueue_alone(job("a")) == "limited"
    queue.run(calls.limit(queue.keys, {"max_waiting": "", "pause:t1": ""}))
    assert queue.enqueue_alone(job("a")) == "taken"
    assert not queue.redis.exists(queue.keys["meta"]) or not queue.redis.hexists(queue.keys["meta"], "narrow")


def test_rule_that_came_by_another_way_is_seen_once_any_rule_is_set(queue):
    """Written by hand, or by a version that did not mark it: clearing another one must not hide it."""
    queue.redis.hset(queue.keys["meta"], "max_waiting", 5)
    queue.run(calls.limit(queue.keys, {"pause:t1": 1}))
    queue.run(calls.limit(queue.keys, {"pause:t1": ""}))
    assert queue.enqueue_alone(job("a")) == "limited"
    queue.run(calls.limit(queue.keys, {"max_active": 7, "max_waiting": ""}))
    assert queue.enqueue_alone(job("a")) == "taken", "a bound of what runs is none of what comes in"


def test_tenant_whose_jobs_are_held_is_left_to_the_long_way(queue):
    """Its new job belongs behind them, though the rule that held them is gone."""
    queue.run(calls.limit(queue.keys, {"pause:t1": 1}))
    queue.put("held")
    queue.run(calls.limit(queue.keys, {"pause:t1": ""}))

    assert queue.enqueue_alone(job("next")) == "limited"

    queue.run(calls.turn(queue.keys))
    queue.put("next")
    assert queue.take(2)[1] == ["held", "next"]


@pytest.mark.parametrize("record", [b"", b"{}]", b'"a",1,{}]', b'10,"t', b'-1,"t",1,{}]', b'[10,"t",1,{}]'])
def test_bad_record_changes_nothing(queue, record):
    """Without priority and tenant in front nobody would find them again."""
    with pytest.raises(StoreCorruptError, match="priority and tenant"):
        queue.enqueue_alone(NewJob("a", "0", record))
    assert queue.redis.keys("jr:{q}:*") == []


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "as a batch"])
def test_count_of_a_tenant_that_is_no_number_keeps_nobody_out(queue, alone):
    """Somebody's mistake in one field must not stop a tenant."""
    queue.redis.hset(queue.keys["tally"], "waiting|t1", "many")

    if alone:
        assert queue.enqueue_alone(job("a")) == "taken"
    else:
        assert queue.enqueue(job("a")).status == "ok"

    assert queue.where() == {"a": "waiting"}
    assert queue.redis.hget(queue.keys["tally"], "waiting|t1") == b"1"
