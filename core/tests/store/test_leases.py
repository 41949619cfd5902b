"""Leases: renewed by their own nonce, recovered when they run out, kept over an outage."""

import msgspec
import pytest

from .conftest import LEASE


def test_only_its_own_nonce_renews_a_lease(queue):
    """A worker's name is not enough: it may have held the job before."""
    queue.put("a", "b")
    nonce, _ = queue.take(2)
    queue.tick(400)

    answer = queue.extend(("a", nonce), ("b", "x" * 22), ("c", nonce))

    assert answer.lost == ["b", "c"]
    assert queue.redis.zscore(queue.keys["active"], "a") == queue.now + LEASE
    assert queue.redis.zscore(queue.keys["active"], "b") < queue.now + LEASE


def test_renewing_tells_of_jobs_that_are_to_stop(queue):
    """With the reason, which may hold spaces and quotes."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.cancel("a", reason='the customer said "no"')
    assert queue.extend(("a", nonce)).cancelled == {"a": 'the customer said "no"'}


def test_lease_that_ran_out_is_recovered_with_a_crash(queue):
    """It goes to `later`, never to the head of the queue, and no attempt is charged."""
    queue.put("a")
    queue.take()
    queue.lapse()

    answer = queue.recover(delays=(1000,))

    assert answer.delayed == ["a"]
    assert queue.where() == {"a": "delayed"}
    assert queue.attempts("a") == (1, 0, 1)
    assert queue.journal("a")[0].worker == "w1"
    due = queue.redis.zscore(queue.keys["later"], "a") - queue.now
    assert 500 <= due <= 1000


def test_job_that_lost_its_worker_too_often_is_buried(queue):
    """A poison job must not go round for ever."""
    queue.put("a")
    for _ in range(3):
        queue.take()
        queue.lapse()
        answer = queue.recover(max_crashes=3)
        queue.tick(100)
    assert answer.buried == ["a"]
    assert queue.where() == {"a": "failed"}
    assert queue.journal("a")[-1].buried
    assert queue.attempts("a") == (3, 0, 3)


def test_cancelled_job_whose_worker_died_is_cancelled(queue):
    """Nobody is left to obey, so the store does."""
    queue.put("a")
    queue.take()
    queue.cancel("a")
    queue.lapse()
    assert queue.recover().cancelled == ["a"]
    assert queue.where() == {"a": "cancelled"}


def test_recovery_is_bounded(queue):
    """As many as the limit: call again."""
    queue.put(*"abcde")
    queue.take(5)
    queue.lapse()
    assert [queue.recover(limit=2).total for _ in range(3)] == [2, 2, 1]


def test_outage_grants_one_more_lease_before_anything_is_recovered(queue):
    """Nobody could renew while Redis was away; whoever calls first must not take the others' jobs."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.tick(60_000)

    queue.take(0, worker="w2")  # the first one back looks at the gap
    assert queue.recover().total == 0
    assert queue.settle(("a", nonce)) == {}
    assert queue.where() == {"a": "completed"}


@pytest.mark.parametrize("first", ["extend", "recover", "exchange"])
def test_whoever_comes_first_after_an_outage_sees_the_gap(queue, first):
    """Any call of a worker closes the gap, so each must look before it does."""
    queue.put("a", "b")
    queue.take(1)
    queue.tick(60_000)
    {"extend": queue.extend, "recover": queue.recover, "exchange": lambda: queue.take(0, worker="w2")}[
        first
    ]()

    for _ in range(3):
        queue.tick(LEASE // 3 - 10)
        assert queue.recover().total == 0
    queue.tick(100)
    assert queue.recover().delayed == ["a"]


@pytest.mark.parametrize("back_ms", [LEASE, 60_000, 3_600_000])
def test_job_of_a_dead_worker_does_not_wait_for_a_clock_that_was_set_back(queue, back_ms):
    """Its lease ends by the old clock, which it may take hours to come to; a server that takes over may have another one."""
    queue.put("a")
    queue.take()
    queue.tick(-back_ms)

    waited = 0
    while not queue.recover().total:
        queue.extend()  # others live
        queue.tick(LEASE // 4)
        waited += LEASE // 4
        assert waited <= 3 * LEASE

    assert queue.where() == {"a": "delayed"}


def test_worker_keeps_its_leases_over_a_clock_that_is_set_back_and_is_believed_no_longer_than_else(queue):
    """It renews by the new clock, so that its death shows as soon as any."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.tick(-3_600_000)

    for _ in range(12):
        queue.tick(LEASE // 3)
        queue.extend(("a", nonce))
        assert queue.recover().total == 0
    assert queue.scores("active") == {"a": queue.now + LEASE}
    queue.lapse()
    assert queue.recover().delayed == ["a"]


def test_lease_of_another_release_with_longer_ones_is_left_as_it_is(queue):
    """Only what was reserved at a time that has not come yet is from a clock that was set back."""
    queue.put("a")
    request = queue.request(1)
    queue.send(msgspec.structs.replace(request, lease_ms=10 * LEASE))
    queue.tick(LEASE // 3)
    queue.recover()
    assert queue.scores("active") == {"a": queue.now - LEASE // 3 + 10 * LEASE}


def test_notes_are_written_under_the_lease_only(queue):
    """A zombie's steps and progress must not stand beside those of the run that counts."""
    queue.put("a", "b")
    nonce, _ = queue.take(2)

    answer = queue.note(
        ("a", nonce, "step", b'["s",1]'),
        ("a", nonce, "progress", b'[0.5,"half"]'),
        ("a", nonce, "log", b'{"event":"x"}\n'),
        ("b", "x" * 22, "step", b'["s",2]'),
    )

    assert (answer.lost, answer.full) == (["b"], [])
    assert queue.redis.hgetall(queue.keys["steps"]) == {b"a": b'["s",1]\n'}
    assert queue.redis.hget(queue.keys["progress"], "a") == b'%d [0.5,"half"]' % queue.now


def test_steps_refuse_when_full_and_logs_let_the_oldest_go(queue):
    """A step must not vanish; a log line may."""
    queue.put("a")
    nonce, _ = queue.take()
    for number in range(8):
        queue.note(("a", nonce, "log", b"line %03d\n" % number), max_logs=30)
        answer = queue.note(("a", nonce, "step", b"x" * 300), max_steps=1000)
    assert answer.full == ["a"]
    assert queue.redis.hget(queue.keys["logs"], "a").splitlines() == [b"line 005", b"line 006", b"line 007"]


def test_steps_may_fill_their_room_to_the_last_byte(queue):
    """The limit is what a job may hold, and a line break a step is counted."""
    queue.put("a")
    nonce, _ = queue.take()
    assert queue.note(("a", nonce, "step", b"x" * 9), max_steps=10).full == []
    assert queue.note(("a", nonce, "step", b""), max_steps=10).full == ["a"]
