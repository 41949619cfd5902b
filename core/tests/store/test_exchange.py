"""The round trip: settle, line up, reserve; and the same again when its answer was lost."""

import msgspec
import pytest

from jobrunner.errors import LateExchangeError, StoreCorruptError

from .conftest import LEASE


def test_exchange_sent_again_gives_the_same_and_renews(queue):
    """A lost answer must neither lose what was reserved nor settle anything twice."""
    queue.put(*[f"j{k}" for k in range(6)])
    nonce, _ = queue.take(3)
    settle = [
        ("j9", nonce, "complete", 0, b""),
        ("j1", nonce, "retry", 70, b"{}"),
        ("j2", "x" * 22, "fail", 0, b"{}"),
    ]
    request = queue.request(2, plain=[("j0", nonce)], settle=settle, counters={"duration:5": 2})
    first = queue.send(request)
    state = queue.where()
    queue.tick(20)
    again = queue.send(request)

    assert [one.id for one in first.jobs] == ["j3", "j4"]
    assert first.refused == {"j9": "stale", "j2": "stale"}
    assert first.due_ms == 70
    assert (again.jobs, again.refused, again.due_ms) == (first.jobs, first.refused, 50)
    assert queue.where() == state
    assert queue.redis.zscore(queue.keys["active"], "j3") == queue.now + LEASE
    stats = queue.stats()
    assert (stats["completed"], stats["started"], stats["duration:5"]) == ("1", "5", "2"), "counted once"
    assert 0 < queue.redis.pttl(queue.keys.memory("w1")) <= 86_400_000


def test_replay_leaves_out_what_was_lost_meanwhile(queue):
    """A job that another worker was given is not given again."""
    queue.put("a", "b")
    request = queue.request(2)
    queue.send(request)
    queue.lapse()
    queue.extend(("a", request.nonce))
    assert queue.recover().delayed == ["b"]

    assert [one.id for one in queue.send(request).jobs] == ["a"]


def test_older_exchange_that_arrives_late_is_refused(queue):
    """A copy in the network must not settle or reserve after a newer one."""
    queue.put("a", "b")
    old = queue.request(1)
    queue.send(old)
    queue.take(0)
    before = queue.snapshot()

    with pytest.raises(LateExchangeError):
        queue.send(old)
    queue.serials["w1"] -= 1
    with pytest.raises(LateExchangeError):
        queue.send(
            queue.request(1)
        )  # the last one's serial under another nonce: a second worker of that name
    assert queue.snapshot() == before


def test_settled_before_is_already_and_only_the_last_exchange_is_remembered(queue):
    """What was applied is no error; what was never ours is stale."""
    queue.put("a", "b")
    nonce, _ = queue.take(2)
    queue.settle(("a", nonce), ("b", nonce, "retry", 0, b""))

    assert queue.settle(("a", nonce), ("b", nonce, "retry", 0, b"")) == {"a": "already", "b": "already"}
    queue.take(0), queue.take(0)
    assert queue.settle(("a", nonce)) == {"a": "stale"}
    assert queue.settle(("a", nonce)) == {"a": "stale"}, "a stale one never becomes an 'already'"


def test_all_outcomes_in_one_batch_go_where_they_belong(queue):
    """Each moves the job, charges what it should, and writes its line."""
    names = ["plain", "result", "retry", "snooze", "release", "fail", "cancel", "park", "crash"]
    queue.put(*names)
    nonce, ids = queue.take(9)
    assert ids == names
    line = b'{"kind":"note","what":"x"}'
    outcomes = [
        ("result", "complete", 0),
        ("retry", "retry", 30),
        ("snooze", "snooze", 20),
        ("release", "release", 0),
    ]
    outcomes += [("fail", "fail", 0), ("cancel", "cancel", 0), ("park", "park", 0), ("crash", "crash", 30)]
    refused = queue.settle(
        ("plain", nonce),
        *[(name, nonce, out, ms, b"" if name == "release" else line) for name, out, ms in outcomes],
    )

    assert refused == {}
    assert queue.where() == {
        "plain": "completed",
        "result": "completed",
        "retry": "delayed",
        "snooze": "delayed",
        "release": "waiting",
        "fail": "failed",
        "cancel": "cancelled",
        "park": "parked",
        "crash": "delayed",
    }
    charged = {name: queue.attempts(name) for name in names}
    assert charged == {
        "plain": (0, 0, 0),
        "result": (0, 0, 0),
        "retry": (1, 0, 0),
        "snooze": (1, 1, 0),
        "release": (1, 1, 0),
        "fail": (1, 0, 0),
        "cancel": (1, 0, 0),
        "park": (1, 1, 0),
        "crash": (1, 0, 1),
    }
    assert [len(queue.journal(name)) for name in names] == [0, 1, 1, 1, 0, 1, 1, 1, 1]
    assert queue.redis.hlen(queue.keys["lease"]) == 0
    stats = queue.stats()
    assert stats["completed"] == "2"
    for name in ("retried", "snoozed", "released", "failed", "cancelled", "parked", "crashed"):
        assert stats[name] == "1", name


def test_job_that_is_to_stop_is_cancelled_rather_than_tried_again(queue):
    """The wish ends with the attempt; a completion still counts."""
    queue.put("a", "b", "c")
    nonce, _ = queue.take(3)
    assert queue.cancel("a", "b", "c") == ["requested"] * 3

    refused = queue.settle(("a", nonce, "retry", 0, b""), ("b", nonce, "release", 0, b""), ("c", nonce))

    assert refused == {"a": "cancelled", "b": "cancelled"}
    assert queue.where() == {"a": "cancelled", "b": "cancelled", "c": "completed"}


def test_unknown_outcome_changes_nothing(queue):
    """Everything is checked before the first move."""
    queue.put("a", "b")
    nonce, _ = queue.take(2)
    with pytest.raises(StoreCorruptError, match="OUTCOME"):
        queue.settle(("a", nonce), ("b", nonce, "explode", 0, b""))
    assert queue.where() == {"a": "active", "b": "active"}


def test_twice_in_one_batch_counts_once(queue):
    """The second is answered as applied before."""
    queue.put("a")
    nonce, _ = queue.take()
    assert queue.settle(("a", nonce), ("a", nonce, "retry", 5, b"")) == {"a": "already"}
    assert queue.where() == {"a": "completed"}


def test_each_settlement_is_judged_by_its_own_nonce(queue):
    """One stale lease in a batch does not spoil the others."""
    queue.put("a", "b")
    old, _ = queue.take(2)
    queue.lapse()
    queue.extend(("b", old))
    queue.recover(), queue.tick(40)
    new, ids = queue.take(1, worker="w2")
    assert ids == ["a"]

    assert queue.settle(("a", old), ("b", old)) == {"a": "stale"}
    assert queue.where() == {"a": "active", "b": "completed"}
    assert queue.settle(("a", new), worker="w2") == {}


def test_counts_come_with_the_job(queue):
    """They say how often it ran, and so what number this run has."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.settle(("a", nonce, "retry", 0, b""))
    (again,) = queue.send(queue.request(1)).jobs
    assert again.counts == b"1 0 0"


def test_due_jobs_are_lined_up_in_bounded_steps(queue):
    """A million jobs due at once must not stop the server."""
    queue.put(*[f"x{k}" for k in range(5)], when="300")
    queue.tick(300)

    answer = queue.send(queue.request(0, promote=2))

    assert answer.due_ms == 0, "more are due"
    assert (len(queue.ids("wait")), len(queue.ids("later"))) == (2, 3)


def test_paused_queue_reserves_nothing_and_still_settles(queue):
    """Pausing lets what runs come to its end, and wakes nobody in circles."""
    queue.put("a", "b")
    nonce, _ = queue.take()
    queue.redis.hset(queue.keys["meta"], "paused", 1)
    queue.redis.delete(queue.keys["wake"])

    assert queue.settle(("a", nonce)) == {}
    assert queue.take(3)[1] == []
    assert queue.redis.llen(queue.keys["wake"]) == 0
    queue.redis.hdel(queue.keys["meta"], "paused")
    assert queue.take(3)[1] == ["b"]


def test_max_active_bounds_all_workers_together(queue):
    """A slot is a lease, so a crash leaks none."""
    queue.put(*"abcd")
    _, first = queue.take(3, max_active=2)
    _, second = queue.take(3, worker="w2", max_active=2)
    assert (len(first), second) == (2, [])
    queue.lapse(), queue.recover()
    assert len(queue.take(3, max_active=2)[1]) == 2


def test_jobs_that_are_left_wake_the_next_worker(queue):
    """A burst wakes worker after worker; when nothing is left the token is not passed on."""
    wake = queue.keys["wake"]
    queue.put(*"abc")
    queue.redis.delete(wake)
    queue.take(1)
    assert queue.redis.lpop(wake)
    queue.take(5)
    assert queue.redis.llen(wake) == 0


def test_retry_that_is_due_first_wakes_a_consumer(queue):
    """Idle consumers wait for the next delayed job that they know of."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.redis.delete(queue.keys["wake"])
    queue.settle(("a", nonce, "retry", 50, b""))
    assert queue.redis.llen(queue.keys["wake"]) == 1


def test_history_of_completed_jobs_is_bounded(queue):
    """The oldest go first, and all that is known of them."""
    queue.put(*[f"j{k}" for k in range(6)])
    nonce, _ = queue.take(6)
    queue.settle(*[(f"j{k}", nonce) for k in range(3)], keep=4)
    queue.tick(5)
    queue.settle(*[(f"j{k}", nonce) for k in range(3, 6)], keep=4)

    assert len(queue.where()) == 4
    assert {"j3", "j4", "j5"} < set(queue.where())
    assert queue.redis.hlen(queue.keys["jobs"]) == 4


def test_job_that_completes_after_the_clock_was_set_back_is_not_the_first_to_be_forgotten(queue):
    """Its producer may be waiting for the result, and would be told that it is gone until the old time has come again."""
    old, new = [f"old{k:03}" for k in range(200)], [f"new{k:03}" for k in range(200)]
    keep = len(old)
    for ids in (old, new):
        queue.put(*ids)
    nonce, _ = queue.take(200)
    queue.settle(*[(name, nonce) for name in old], keep=keep)
    nonce, _ = queue.take(200)
    queue.tick(-3_600_000)

    for name in new:
        queue.settle((name, nonce), keep=keep)
        assert name in queue.where()
        queue.tick(1)

    assert set(new[10:]) < set(queue.where()), "no more than the first are out of order"
    assert max(queue.scores("done").values()) == queue.now - 1


def test_journal_is_bounded_and_keeps_its_first_line(queue):
    """A job that is tried a thousand times must not grow without end; how it began matters most."""
    queue.put("a")
    for number in range(40):
        nonce, _ = queue.take()
        entry = msgspec.json.encode(
            {"kind": "error", "attempt": number, "error_type": "E", "message": "m" * 3000}
        )
        queue.settle(("a", nonce, "retry", 0, entry))

    raw = queue.redis.hget(queue.keys["state"], "a")
    numbers = [entry.attempt for entry in queue.journal("a")]
    assert len(raw) <= 65_536
    assert numbers[0] == 0
    assert numbers[-1] == 39
    assert numbers[1] > 10


def test_record_that_was_deleted_behind_our_back_is_told(queue):
    """The worker fails such a job; it must not be an error of the script."""
    queue.put("a")
    queue.redis.hdel(queue.keys["jobs"], "a")
    queue.redis.delete(queue.keys["tally"])

    (lost,) = queue.send(queue.request(1)).jobs

    assert lost.record is None
    nonce = queue.redis.hget(queue.keys["lease"], "a").decode()[:22]
    queue.settle(("a", nonce, "fail", 0, b"{}"))
    queue.redis.zrem(queue.keys["dead"], "a")
    queue.redis.hdel(queue.keys["attempts"], "a")
    queue.redis.hdel(queue.keys["state"], "a")
    queue.redis.delete(queue.keys["tally"])


def test_minutes_are_a_ring(queue):
    """A day later a minute's slot is used again, so the counters never grow."""
    for _ in range(2):
        queue.put("a")
        nonce, _ = queue.take()
        queue.settle(("a", nonce), keep=0)
        queue.redis.delete(queue.keys["seen"])
        queue.tick(86_400_000)
    slots = [name for name in queue.stats() if name.startswith("m")]
    assert len(slots) == 1
    assert queue.stats()[slots[0]].split()[1:] == ["1", "1", "0", "0"]


def test_count_that_is_none_is_begun_anew(queue):
    """A stored count that is not ours must not leave a job in no list: its lease is gone by then."""
    queue.put("a", "b")
    nonce, _ = queue.take(2)
    queue.redis.hset(queue.keys["attempts"], mapping={"a": "rubbish", "b": "1 2"})

    queue.settle(("a", nonce, "retry", 0, b""))
    queue.lapse()
    queue.recover()

    assert (queue.attempts("a"), queue.attempts("b")) == ((1, 0, 0), (1, 0, 1))
    assert set(queue.where()) == {"a", "b"}
