"""Held jobs: what a tenant may not start now stands apart, in its order, and goes on by turns."""

import pytest

from jobrunner.model import State
from jobrunner.store import calls

from .conftest import START_MS, job


def pause(queue, tenant):
    queue.run(calls.limit(queue.keys, {f"pause:{tenant}": 1}))


def resume(queue, tenant):
    queue.run(calls.limit(queue.keys, {f"pause:{tenant}": ""}))
    queue.run(calls.turn(queue.keys, tenant, 1))


def held(queue):
    """The held jobs in their order, by tenant."""
    found = {}
    for entry in queue.ids("held"):
        tenant, _, name = entry.split(" ")
        found.setdefault(tenant, []).append(name)
    return found


def put_many(queue, letter, number):
    names = [f"{letter}{k:05d}" for k in range(number)]
    for start in range(0, number, 250):
        queue.put(*names[start : start + 250], tenant=letter)
    return names


def test_new_job_of_a_paused_tenant_is_held_at_once_and_wakes_nobody(queue):
    """Its flood must cost neither an exchange nor a wake-up."""
    pause(queue, "a")
    queue.put("a1", "a2", tenant="a")

    assert queue.where() == {"a1": "parked", "a2": "parked"}
    assert held(queue) == {"a": ["a1", "a2"]}
    assert queue.redis.llen(queue.keys["wake"]) == 0
    assert (queue.counts().waiting, queue.counts().parked, queue.counts().held) == (0, 2, 2)
    assert queue.tally() == {"parked|a": 2}


def test_job_in_line_of_a_paused_tenant_is_held_in_its_order_and_others_go_on(queue):
    """What came before the pause stays before what comes after it."""
    queue.put("a1", "a2", "a3", tenant="a")
    queue.put("b1", "b2", tenant="b")
    pause(queue, "a")

    assert queue.take(1)[1] == ["b1"]
    queue.put("a4", tenant="a")
    assert queue.take(5)[1] == ["b2"]

    assert held(queue) == {"a": ["a1", "a2", "a3", "a4"]}
    resume(queue, "a")
    assert queue.take(9)[1] == ["a1", "a2", "a3", "a4"]


def test_tenant_that_is_let_go_shares_with_the_others(queue):
    """A backlog that was held is no licence to go before everybody else."""
    pause(queue, "a")
    mine = put_many(queue, "a", 400)
    put_many(queue, "b", 400)
    queue.take(50)
    resume(queue, "a")

    ids = []
    while len(ids) < 100:
        ids += queue.take(100 - len(ids))[1]

    assert 48 <= sum(name.startswith("a") for name in ids) <= 52
    assert [name for name in ids if name.startswith("a")] == mine[:50][: sum(n[0] == "a" for n in ids)]


def test_flood_of_a_blocked_tenant_is_walked_in_bounded_steps(queue):
    """No exchange may take long because one tenant has very many jobs in line."""
    put_many(queue, "a", 1000)
    pause(queue, "a")
    queue.redis.delete(queue.keys["wake"])

    _, ids = queue.take(10)

    assert ids == []
    assert 0 < queue.counts().held <= 300
    assert queue.redis.llen(queue.keys["wake"]) == 1, "somebody goes on with it"
    for _ in range(5):
        queue.take(10)
    assert queue.counts().held == 1000
    queue.redis.delete(queue.keys["wake"])
    queue.take(10)
    assert queue.redis.llen(queue.keys["wake"]) == 0, "and then nobody is woken any more"


def test_tenant_runs_no_more_than_its_limit_over_all_workers(queue):
    """And a slot that comes free is used by the same exchange."""
    queue.put("a1", "a2", "a3", "a4", tenant="a")
    queue.put("b1", tenant="b")
    queue.put("n1", "n2", "n3", tenant="")
    limit = {"max_active_per_tenant": 2}

    nonce, first = queue.take(9, **limit)
    _, second = queue.take(9, worker="w2", **limit)

    assert (sorted(first), second) == (["a1", "a2", "b1", "n1", "n2", "n3"], [])
    assert held(queue) == {"a": ["a3", "a4"]}
    request = queue.request(9, plain=[("a1", nonce)], **limit)
    assert [one.id for one in queue.send(request).jobs] == ["a3"]
    assert queue.take(9, worker="w2", **limit)[1] == []


def test_limit_of_one_tenant_goes_before_that_of_all(queue):
    """An operator's word, while it runs."""
    queue.run(calls.limit(queue.keys, {"max_active:a": 3, "max_active:b": 0}))
    queue.put(*[f"a{k}" for k in range(4)], tenant="a")
    queue.put(*[f"b{k}" for k in range(4)], tenant="b")
    queue.put(*[f"c{k}" for k in range(4)], tenant="c")

    _, ids = queue.take(20, max_active_per_tenant=1)
    assert [sum(name.startswith(letter) for name in ids) for letter in "abc"] == [3, 4, 1]

    queue.run(calls.limit(queue.keys, {"max_active:a": "", "max_active:b": "", "max_active_per_tenant": 2}))
    queue.run(calls.turn(queue.keys, max_active=1))
    assert queue.take(20, max_active_per_tenant=1)[1] == ["c1"]
    assert not queue.redis.hexists(queue.keys["meta"], "rules")


def test_slots_of_a_worker_that_died_are_free_when_its_leases_are_taken_back(queue):
    """Its tenant's last jobs must not wait for a settlement that never comes."""
    queue.put("a1", "a2", "a3", tenant="a")
    assert queue.take(9, max_active_per_tenant=1)[1] == ["a1"]
    queue.redis.delete(queue.keys["wake"])
    queue.lapse()
    assert queue.recover(max_crashes=1).buried == ["a1"]

    assert queue.redis.llen(queue.keys["wake"]) == 1
    assert queue.take(9, worker="w2", max_active_per_tenant=1)[1] == ["a2"]


def test_turn_that_was_lost_is_given_again_by_the_sweep(queue):
    """Whatever was to let a tenant go and did not: nothing is stuck for good."""
    for letter in "abc":
        queue.put(f"{letter}1", f"{letter}2", tenant=letter)
        pause(queue, letter)
    queue.take(9)
    queue.run(calls.limit(queue.keys, {"pause:a": "", "pause:c": ""}))
    assert queue.take(9)[1] == []
    queue.redis.delete(queue.keys["wake"])

    start, seen = "", []
    while start := queue.run(calls.turn(queue.keys, start, 1)):
        seen.append(start)

    assert len(seen) == 3, "a bounded number a call"
    assert queue.redis.llen(queue.keys["wake"]) == 1
    assert queue.take(9)[1] == ["a1", "c1", "a2", "c2"]
    resume(queue, "b")


def test_higher_priority_goes_first_among_what_was_held(queue):
    """Also what comes in while the tenant's turn stands already."""
    pause(queue, "a")
    queue.put("low1", "low2", tenant="a", priority=1)
    resume(queue, "a")
    queue.put("high", tenant="a", priority=90)
    queue.put("other", tenant="b", priority=50)

    assert queue.take(4)[1] == ["high", "other", "low1", "low2"]


def test_held_jobs_are_cancelled_removed_and_cleared_like_others(queue):
    """And their tenants' turns go with the last one."""
    pause(queue, "a")
    queue.put("a1", "a2", "a3", "a4", tenant="a")
    resume(queue, "a")
    assert queue.cancel("a2") == ["cancelled"]
    assert queue.run(calls.remove(queue.keys, ["a1"])) == ["a1"]
    assert held(queue) == {"a": ["a3", "a4"]}
    assert queue.run(calls.trim(queue.keys, State.PARKED, keep=0, keep_ms=-1, limit=5)) == 2

    assert held(queue) == {}
    assert queue.ids("turns") == []
    assert queue.where() == {"a2": "cancelled"}
    assert not queue.redis.hexists(queue.keys["meta"], "holding")


def test_held_job_is_not_put_in_line_by_hand(queue):
    """A person who retries what is parked must not undo a pause."""
    queue.put("p", tenant="b")
    nonce, _ = queue.take()
    queue.settle(("p", nonce, "park", 0, b""))
    pause(queue, "a")
    queue.put("a1", tenant="a")

    assert queue.retry(State.PARKED, "a1", "p") == ["p"]
    assert queue.where() == {"a1": "parked", "p": "waiting"}


def test_jobs_given_back_go_before_what_is_held(queue):
    """First in, first out holds when a worker stops."""
    queue.put("a1", "a2", "a3", "a4", tenant="a")
    nonce, ids = queue.take(9, max_active_per_tenant=2)
    assert ids == ["a1", "a2"]

    queue.settle(("a1", nonce, "release", 0, b""), ("a2", nonce, "release", 0, b""), max_active_per_tenant=2)

    assert held(queue) == {"a": ["a1", "a2", "a3", "a4"]}
    assert queue.take(9, max_active_per_tenant=2)[1] == ["a1", "a2"]


def test_delayed_and_retried_jobs_of_a_paused_tenant_are_held_when_due(queue):
    """A pause holds what comes from anywhere."""
    queue.put("late", tenant="a", when="40")
    queue.put("bad", tenant="a")
    nonce, _ = queue.take()
    queue.settle(("bad", nonce, "fail", 0, b""))
    pause(queue, "a")
    queue.tick(50)
    queue.take(0)
    assert queue.retry(State.FAILED, "bad") == ["bad"]

    assert held(queue) == {"a": ["late", "bad"]}
    assert queue.take(9)[1] == []


def test_exchange_sent_again_gives_what_it_took_from_the_held(queue):
    """A lost answer costs nothing here either."""
    pause(queue, "a")
    queue.put("a1", "a2", tenant="a")
    resume(queue, "a")
    request = queue.request(1)
    first = queue.send(request)
    before = queue.snapshot()

    assert queue.send(request).jobs == first.jobs
    assert [one.id for one in first.jobs] == ["a1"]
    assert queue.snapshot() == before


def test_held_jobs_count_against_the_cap_of_what_waits(queue):
    """A tenant that is blocked must not fill the store."""
    pause(queue, "a")
    queue.put("a1", "a2", tenant="a")
    assert queue.enqueue(job("a3", tenant="a"), max_waiting=2).status == "full"


@pytest.mark.parametrize("tenant", ["a", "a|b", "a|b|c", "a.b", "a@x:1+2-3", "x" * 128])
def test_tenants_whose_names_begin_alike_are_told_apart(queue, tenant):
    """A range of one must not take in another's jobs."""
    others = ["a|0000001000000000", "a0", "ab", "a|", "a-", "x" * 127]
    for number, other in enumerate([tenant, *others]):
        pause(queue, other)
        queue.put(f"j{number}", tenant=other)
    resume(queue, tenant)

    assert queue.take(9)[1] == ["j0"]
    assert len(queue.ids("held")) == len(others)


def test_active_count_that_is_off_blocks_nobody_for_good(queue):
    """The leases say what runs; a count that somebody spoilt is not believed beyond them."""
    queue.put("a1", "a2", tenant="a")
    queue.redis.hset(queue.keys["tally"], "active|a", 7)

    assert queue.take(9, max_active_per_tenant=1)[1] == ["a1"]

    queue.redis.hset(queue.keys["tally"], "active|a", 1)


def test_order_survives_a_line_that_ran_empty(queue):
    """Places in line begin anew when it drains; what was held before stays before what is held after."""
    put_many(queue, "b", 300)
    queue.put("a1", "a2", tenant="a")
    pause(queue, "a")
    while queue.take(150)[1]:
        pass
    queue.put("a3", tenant="a")
    queue.put("b9", tenant="b")
    resume(queue, "a")

    _, ids = queue.take(9)

    assert [name for name in ids if name[0] == "a"] == ["a1", "a2", "a3"]
    assert ids.index("b9") <= 1, "nor does what was held go before all others"
    assert queue.now >= START_MS
