"""Rates: how many jobs start in a time, by the server's clock, and when an exchange says to come again."""

import pytest

from jobrunner.model import RateLimit
from jobrunner.store import calls

PACE = RateLimit(jobs=10, per_seconds=1, burst=4).stored


def drain(queue, ms, *, step=7, **limits):
    """Exchanges every few ms for a time: when each job started."""
    starts, until = [], queue.now + ms
    while queue.now < until:
        request = queue.request(50, **limits)
        answer = queue.send(request)
        starts += [(queue.now, one.id) for one in answer.jobs]
        done = [(one.id, request.nonce) for one in answer.jobs]
        if done:
            queue.settle(*done, **limits)
        queue.tick(step)
    return starts


def most_in(starts, ms):
    """The most starts in any span of a length."""
    times = [at for at, *_ in starts]
    return max(sum(begin <= at < begin + ms for at in times) for begin in times)


def put_many(queue, letter, number):
    queue.put(*[f"{letter}{k:03d}" for k in range(number)], tenant=letter)


def test_queue_starts_no_more_than_its_rate_in_any_span(queue):
    """What the other side counts is spans, wherever they begin."""
    put_many(queue, "a", 200)
    starts = drain(queue, 5000, rate=PACE)
    assert most_in(starts, 1000) <= 13
    assert 50 <= len(starts) <= 54, "and in the long run no fewer"


def test_burst_of_one_spaces_jobs_evenly(queue):
    """For services that count hard."""
    put_many(queue, "a", 100)
    starts = drain(queue, 3000, step=1, rate=RateLimit(jobs=10, per_seconds=1, burst=1).stored)
    assert most_in(starts, 1000) == 10


def test_exchange_says_exactly_when_the_next_may_start_and_wakes_nobody(queue):
    """A consumer sleeps until then; a token on the wake list would send them all round in a circle."""
    put_many(queue, "a", 10)
    queue.redis.delete(queue.keys["wake"])
    first = queue.send(queue.request(50, rate=PACE))
    again = queue.send(queue.request(50, rate=PACE))

    assert (len(first.jobs), len(again.jobs)) == (4, 0)
    assert (first.due_ms, again.due_ms) == (100, 100)
    assert queue.redis.llen(queue.keys["wake"]) == 0
    queue.tick(99)
    assert (queue.take(5, rate=PACE)[1], queue.send(queue.request(5, rate=PACE)).due_ms) == ([], 1)
    queue.tick(1)
    assert queue.take(5, rate=PACE)[1] == ["a004"]


def test_empty_queue_out_of_rate_has_nothing_to_come_back_for(queue):
    """Idle means idle."""
    put_many(queue, "a", 4)
    request = queue.request(50, rate=PACE)
    assert queue.send(request).due_ms == -1
    assert queue.send(request).due_ms == -1, "sent again it says the same"


def test_delayed_job_that_is_due_before_the_rate_allows_comes_first(queue):
    """It has to be lined up in time, whatever the rate says."""
    put_many(queue, "a", 5)
    queue.put("late", when="30")
    assert queue.send(queue.request(50, rate=PACE)).due_ms == 30


def test_rate_of_a_tenant_holds_its_jobs_until_its_bucket_fills_and_others_go_on(queue):
    """One tenant's quota with a service must not be spent by another, nor keep another waiting."""
    put_many(queue, "a", 60)
    put_many(queue, "b", 3)
    starts = drain(queue, 3000, rate_per_tenant=PACE)

    mine = [(at, name) for at, name in starts if name.startswith("a")]
    assert [name for _, name in mine] == [f"a{k:03d}" for k in range(len(mine))], "first in, first out"
    assert most_in(mine, 1000) <= 13
    assert 30 <= len(mine) <= 34
    assert {at for at, name in starts if name.startswith("b")} == {starts[0][0]}


def test_held_job_is_due_when_its_tenant_may_start_it(queue):
    """The consumer comes back to the millisecond, and not by a wake-up."""
    put_many(queue, "a", 6)
    first = queue.send(queue.request(50, rate_per_tenant=PACE))
    queue.redis.delete(queue.keys["wake"])

    assert (len(first.jobs), first.due_ms) == (4, 100)
    assert queue.counts().coming == 1
    queue.tick(99)
    assert queue.take(9, rate_per_tenant=PACE)[1] == []
    assert queue.redis.llen(queue.keys["wake"]) == 0
    queue.tick(1)
    assert queue.take(9, rate_per_tenant=PACE)[1] == ["a004"]


def test_rate_that_an_operator_sets_goes_before_the_declared_one(queue):
    """For one tenant, for all, for the queue; 0 is none."""
    put_many(queue, "a", 20)
    put_many(queue, "b", 20)
    fields = {"rate:a": "1 60000 1", "rate_per_tenant": "0", "rate": "12 60000 12"}
    queue.run(calls.limit(queue.keys, fields))

    _, ids = queue.take(50, rate="0", rate_per_tenant=PACE)
    assert [sum(name.startswith(letter) for name in ids) for letter in "ab"] == [1, 11]

    queue.run(calls.limit(queue.keys, dict.fromkeys(fields, "")))
    queue.run(calls.turn(queue.keys))
    assert len(queue.take(50)[1]) == 28
    assert not queue.redis.hexists(queue.keys["meta"], "rules")


def test_full_buckets_are_forgotten(queue):
    """Tenants come and go; a bucket that is full says nothing."""
    for letter in "abc":
        put_many(queue, letter, 2)
    queue.take(50, rate_per_tenant=PACE, rate=PACE)
    assert set(queue.ids("rates")) <= {"a", "b", "c", "*"}
    queue.tick(10_000)
    assert queue.run(calls.prune(queue.keys, 1000)) == len("abc*")
    assert queue.ids("rates") == []


def test_job_that_a_replayed_exchange_gives_again_is_charged_once(queue):
    """A lost answer costs the tenant nothing."""
    put_many(queue, "a", 6)
    request = queue.request(2, rate=PACE, rate_per_tenant=PACE)
    queue.send(request)
    before = queue.redis.zrange(queue.keys["rates"], 0, -1, withscores=True)
    queue.send(request)
    assert queue.redis.zrange(queue.keys["rates"], 0, -1, withscores=True) == before


@pytest.mark.parametrize("rate", ["", "0", "many", "5", "5 0 1", "0 1000 1", "1 1000 0", "nan inf 1"])
def test_rate_that_is_none_loses_no_job(queue, rate):
    """It is text in the store: whatever it says, jobs stay where they can be found."""
    queue.redis.hset(queue.keys["meta"], mapping={"rate:a": rate, "rules": 1})
    put_many(queue, "a", 3)
    queue.take(1)
    queue.redis.hdel(queue.keys["meta"], "rate:a", "rules")
    queue.run(calls.turn(queue.keys))
    queue.take(9)
    assert set(queue.where().values()) == {"active"}


@pytest.mark.parametrize(
    ("jobs", "seconds", "burst"),
    [(0, 1, None), (1, 0, None), (5, 1, 6), (5, 1, 0), (1.5, 1, None), (True, 1, None)],
)
def test_rate_that_means_nothing_is_refused_where_it_is_written(jobs, seconds, burst):
    """At the declaration, and not at the first job."""
    with pytest.raises(ValueError, match="RateLimit"):
        RateLimit(jobs=jobs, per_seconds=seconds, burst=burst)


@pytest.mark.parametrize("limits", [{"rate": PACE}, {"rate_per_tenant": PACE}])
def test_clock_that_was_set_back_stops_no_queue(queue, limits):
    """A server that takes over may have another clock: a bucket would be empty until it has come to the old one's time."""
    put_many(queue, "a", 20)
    queue.send(queue.request(4, **limits))
    queue.tick(-3_600_000)

    starts = drain(queue, 1500, **limits)

    assert len(starts) >= 10
    assert most_in(starts, 1000) <= 13


@pytest.mark.parametrize("full", ["inf", "1e300"])
def test_bucket_that_somebody_filled_for_ever_is_emptied(queue, full):
    """It is no bucket of ours: ours are full again in the time of a burst."""
    put_many(queue, "a", 20)
    queue.redis.execute_command("ZADD", queue.keys["rates"], full, "*")
    assert len(drain(queue, 1500, rate=PACE)) >= 10


@pytest.mark.parametrize("field", ["tick", "grace", "max_active", "max_waiting", "max_waiting_bytes"])
def test_number_of_a_queue_that_is_none_counts_as_not_said(queue, field):
    """One wrong word in a hash must not stop a queue for good."""
    queue.redis.hset(queue.keys["meta"], field, "many")
    put_many(queue, "a", 2)
    assert queue.take(5)[1] == ["a000", "a001"]
    queue.recover()
    queue.redis.hdel(queue.keys["meta"], field)
