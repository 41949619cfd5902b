"""What people do: cancel, retry, promote, remove, trim, clear, count."""

import pytest

from jobrunner.model import State
from jobrunner.store import calls


def ended(queue, **outcomes):
    """Jobs by name, each with its outcome."""
    queue.put(*outcomes)
    nonce, _ = queue.take(len(outcomes))
    queue.settle(*[(name, nonce, outcome, 500, b"") for name, outcome in outcomes.items()])


def test_cancel_answers_each_id_by_where_it_stands(queue):
    """What waits is cancelled at once, what runs is asked, what is over is over."""
    queue.put("run", "done")
    nonce, _ = queue.take(2)
    queue.settle(("done", nonce))
    queue.put("wait")
    queue.put("late", when="900")

    assert queue.cancel("run", "wait", "late", "done", "none") == [
        "requested",
        "cancelled",
        "cancelled",
        "ended",
        "missing",
    ]
    assert queue.where() == {"run": "active", "wait": "cancelled", "late": "cancelled", "done": "completed"}
    assert queue.journal("wait")[0].reason == "enough"


def test_retry_forgives_attempts_and_keeps_the_run_number(queue):
    """The fencing number never falls, or an old run could pass for a new one."""
    ended(queue, a="fail", b="cancel", c="complete")

    assert queue.retry(State.FAILED, "a", "b", "c", "none") == ["a"]
    assert queue.retry(State.CANCELLED, "b") == ["b"]

    assert queue.where() == {"a": "waiting", "b": "waiting", "c": "completed"}
    assert queue.attempts("a") == (1, 1, 0)


def test_promoting_lets_a_delayed_job_run_now_as_it_is(queue):
    """Its counts stay: it is no new beginning."""
    ended(queue, a="retry")
    assert queue.retry(State.DELAYED, "a", forgive=False) == ["a"]
    assert queue.where() == {"a": "waiting"}
    assert queue.attempts("a") == (1, 0, 0)


def test_parked_job_is_lined_up_again(queue):
    """When a worker comes that can run it."""
    ended(queue, a="park")
    assert queue.retry(State.PARKED, "a", forgive=False) == ["a"]
    assert queue.where() == {"a": "waiting"}


def test_remove_deletes_all_that_is_known_and_spares_what_runs(queue):
    """And frees the id at once."""
    ended(queue, a="fail", b="complete")
    queue.put("run")
    nonce, _ = queue.take()
    queue.note(("run", nonce, "step", b'["s",1]'))

    assert queue.run(calls.remove(queue.keys, ["a", "b", "run", "none"])) == ["a", "b"]
    assert queue.where() == {"run": "active"}
    queue.put("a")
    queue.settle(("run", nonce))


def test_trim_by_age_and_number(queue):
    """Whichever bound is met first."""
    for number in range(6):
        ended(queue, **{f"j{number}": "fail"})
        queue.tick(100)

    assert queue.run(calls.trim(queue.keys, State.FAILED, keep=100, keep_ms=350, limit=10)) == 3
    assert queue.run(calls.trim(queue.keys, State.FAILED, keep=1, keep_ms=10_000, limit=1)) == 1
    assert sorted(queue.where()) == ["j4", "j5"]


@pytest.mark.parametrize(
    "state", [State.WAITING, State.DELAYED, State.PARKED, State.CANCELLED, State.COMPLETED]
)
def test_clearing_goes_in_steps_and_takes_one_state_only(queue, state):
    """And never what runs."""
    ended(queue, p1="park", x1="cancel", c1="complete")
    queue.put("w1", "w2")
    queue.put("l1", when="900")
    before = queue.where()

    gone = 0
    while step := queue.run(calls.trim(queue.keys, state, keep=0, keep_ms=-1, limit=1)):
        gone += step

    assert queue.where() == {name: where for name, where in before.items() if where != state.value}
    assert gone == len([where for where in before.values() if where == state.value])


def test_running_jobs_are_never_cleared(queue):
    """Not even by a programming mistake."""
    with pytest.raises(ValueError, match="never cleared"):
        calls.trim(queue.keys, State.ACTIVE, keep=0, keep_ms=-1, limit=1)


def test_counts_are_the_sizes_of_the_lists(queue):
    """And the age of the first in line."""
    ended(queue, f="fail", c="complete", x="cancel", p="park", r="retry")
    queue.put("w")
    queue.tick(70)

    counts = queue.counts()

    assert [counts.of(state) for state in State] == [1, 1, 0, 1, 1, 1, 1]
    assert (counts.total, counts.paused, counts.oldest_ms) == (6, False, 70)


@pytest.mark.parametrize("state", [State.ACTIVE, State.WAITING, State.COMPLETED])
def test_only_jobs_that_stand_still_are_put_in_line_by_hand(queue, state):
    """A running one would run twice, under a lease that nobody holds."""
    with pytest.raises(ValueError, match=state.value):
        queue.retry(state, "a")


def test_answers_of_other_states_move_nothing(queue):
    """An id that is named under the wrong state is left where it is."""
    ended(queue, f="fail", x="cancel", p="park")
    before = queue.snapshot()
    assert queue.retry(State.FAILED, "x", "p", "none") == []
    assert queue.retry(State.PARKED, "f", "x") == []
    assert queue.snapshot() == before


def test_cancel_of_what_is_asked_already_keeps_the_first_reason(queue):
    """Asking twice changes nothing."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.cancel("a", reason="first")
    before = queue.snapshot()
    assert queue.cancel("a", reason="second") == ["requested"]
    assert queue.snapshot() == before
    assert queue.extend(("a", nonce)).cancelled == {"a": "first"}


def test_job_in_line_again_wakes_a_consumer(queue):
    """All may be asleep, and a person waits for what the retry does."""
    ended(queue, a="fail")
    queue.redis.delete(queue.keys["wake"])
    queue.retry(State.FAILED, "a")
    assert queue.redis.llen(queue.keys["wake"]) == 1


def test_line_that_is_cleared_leaves_no_shares(queue):
    """Nobody may come to reserve from a queue that was given up, so clearing cleans up after itself."""
    queue.put("a", "b")
    queue.run(calls.trim(queue.keys, State.WAITING, keep=0, keep_ms=-1, limit=10))
    assert queue.redis.exists(queue.keys["share"]) == 0
