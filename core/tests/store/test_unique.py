"""Unique keys: one job at a time for a key, freed by whatever ends the job."""

import pytest

from jobrunner.model import State
from jobrunner.store import calls
from jobrunner.store.calls import NewJob

from .conftest import job, record


def keyed(name, key="k", when="0"):
    return NewJob(name, when, record(), key)


def put(queue, name, key="k", **more):
    answer = queue.enqueue(keyed(name, key, **more))
    assert (answer.status, answer.ids, answer.instead) == ("ok", [], {})


def keys_left(queue):
    hashes = queue.hashes("unique", "uniques")
    assert {name: key for key, name in hashes["unique"].items()} == {
        name.encode(): key.decode() for name, key in hashes["uniques"].items()
    }
    assert queue.redis.hexists(queue.keys["meta"], "unique") == bool(hashes["unique"])
    return set(hashes["unique"])


@pytest.mark.parametrize("when", ["0", "500"])
def test_second_job_of_a_key_is_not_taken_in_and_names_the_first(queue, when):
    """Whether that one waits, is delayed or runs."""
    put(queue, "a", when=when)
    answer = queue.enqueue(keyed("b"), keyed("c", "other"), job("d"))

    assert (answer.status, answer.ids, answer.instead) == ("ok", [], {"b": "a"})
    assert set(queue.where()) == {"a", "c", "d"}
    queue.take(9)
    assert queue.enqueue(keyed("e", "other")).instead == {"e": "c"}
    assert queue.stats()["enqueued"] == "3"


def test_two_of_a_key_in_one_batch_are_one_job(queue):
    """A bulk is no way around it."""
    answer = queue.enqueue(keyed("a"), keyed("b"), keyed("c", "x"))
    assert answer.instead == {"b": "a"}
    assert set(queue.where()) == {"a", "c"}
    assert keys_left(queue) == {"k", "x"}


def test_enqueue_that_is_sent_again_is_known_by_its_id(queue):
    """The answer may have been lost; the key says nothing against oneself."""
    put(queue, "a")
    answer = queue.enqueue(keyed("a"))
    assert (answer.ids, answer.instead) == (["a"], {})


@pytest.mark.parametrize("outcome", ["", "complete", "fail", "cancel"])
def test_settlement_that_ends_a_job_frees_its_key(queue, outcome):
    """In the same script, so there is no moment at which a job has ended and its key has not."""
    put(queue, "a")
    nonce, _ = queue.take()
    queue.settle(("a", nonce, outcome, 0, b"") if outcome else ("a", nonce))

    assert keys_left(queue) == set()
    put(queue, "b")


@pytest.mark.parametrize("outcome", ["retry", "snooze", "release", "park", "crash"])
def test_job_that_comes_again_keeps_its_key(queue, outcome):
    """It has not ended."""
    put(queue, "a")
    nonce, _ = queue.take()
    queue.settle(("a", nonce, outcome, 50, b""))
    assert queue.enqueue(keyed("b")).instead == {"b": "a"}


@pytest.mark.parametrize("wish", [True, False])
def test_recovery_that_ends_a_job_frees_its_key(queue, wish):
    """Buried, or cancelled while its worker died."""
    put(queue, "a")
    queue.take()
    if wish:
        queue.cancel("a")
    queue.lapse()
    queue.recover(max_crashes=9 if wish else 1)
    assert keys_left(queue) == set()


def test_recovery_that_delays_a_job_leaves_its_key(queue):
    """It will run again."""
    put(queue, "a")
    queue.take(), queue.lapse(), queue.recover()
    assert keys_left(queue) == {"k"}


def test_people_who_end_a_job_free_its_key(queue):
    """Cancelled, removed or cleared by hand."""
    for name in "abc":
        put(queue, name, name)
    queue.cancel("a")
    queue.run(calls.remove(queue.keys, ["b"]))
    assert keys_left(queue) == {"c"}
    queue.run(calls.trim(queue.keys, State.WAITING, keep=0, keep_ms=-1, limit=10))
    assert keys_left(queue) == set()


def test_job_that_ended_and_is_put_in_line_by_hand_does_not_take_the_key_from_another(queue):
    """Its key was freed when it ended, and is another job's by now."""
    put(queue, "a")
    nonce, _ = queue.take()
    queue.settle(("a", nonce, "fail", 0, b""))
    put(queue, "b")
    queue.retry(State.FAILED, "a")
    nonce, ids = queue.take(9)
    assert ids == ["b", "a"]
    queue.settle(("a", nonce))
    assert keys_left(queue) == {"k"}
    queue.settle(("b", nonce))


def test_key_of_a_job_that_was_deleted_behind_our_back_is_free(queue):
    """Or nobody could ever use it again."""
    put(queue, "a")
    queue.redis.hdel(queue.keys["jobs"], "a")
    queue.redis.zrem(queue.keys["wait"], "a")
    queue.redis.delete(queue.keys["tally"])
    put(queue, "b")
    queue.redis.hdel(queue.keys["uniques"], "a")


def test_conflict_in_a_batch_takes_no_key(queue):
    """All or nothing."""
    queue.put("x")
    answer = queue.enqueue(keyed("a"), job("x", payload=b"[9]"))
    assert answer.status == "conflict"
    assert keys_left(queue) == set()


def test_queue_without_keys_holds_nothing_of_them(queue):
    """It costs nothing where it is not used."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.settle(("a", nonce))
    assert queue.redis.exists(queue.keys["unique"], queue.keys["uniques"]) == 0
    assert keys_left(queue) == set()
