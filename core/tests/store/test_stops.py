"""A wish to stop a job that runs, against everything that may become of its attempt."""

import pytest

from jobrunner.model import State

LINE = b'{"kind":"note","what":"x"}'


@pytest.mark.parametrize("outcome", ["retry", "snooze", "release", "park", "crash"])
def test_job_that_is_to_stop_never_comes_back(queue, outcome):
    """Whatever its handler or its worker says that would let it run again."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.cancel("a")

    assert queue.settle(("a", nonce, outcome, 0, LINE)) == {"a": "cancelled"}

    assert queue.where() == {"a": "cancelled"}
    assert queue.attempts("a") == (1, 0, 0)
    assert len(queue.journal("a")) == 1
    assert queue.stats()["cancelled"] == "1"


@pytest.mark.parametrize(
    ("outcome", "state"), [("complete", "completed"), ("fail", "failed"), ("cancel", "cancelled")]
)
def test_job_that_is_to_stop_and_came_to_its_end_is_what_it_became(queue, outcome, state):
    """The wish came too late, and nothing is refused: what was done was done."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.cancel("a")

    assert queue.settle(("a", nonce, outcome, 0, b"")) == {}

    assert queue.where() == {"a": state}


def test_wish_ends_with_the_attempt_it_was_meant_for(queue):
    """A cancelled job that a person lines up again is a new beginning: no old wish stops it."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.cancel("a")
    queue.settle(("a", nonce, "retry", 0, b""))
    queue.retry(State.CANCELLED, "a")

    again, ids = queue.take()

    assert ids == ["a"]
    assert queue.extend(("a", again)).cancelled == {}
    assert queue.settle(("a", again, "retry", 0, b"")) == {}


def test_id_named_twice_is_answered_by_where_it_stands_then(queue):
    """A list of ids that people paste holds doubles."""
    queue.put("a", "b")
    nonce, _ = queue.take()
    assert queue.cancel("b", "b", "a", "a") == ["cancelled", "ended", "requested", "requested"]
    assert len(queue.journal("b")) == 1
    assert queue.retry(State.CANCELLED, "b", "b") == ["b"]
    assert queue.extend(("a", nonce), ("a", nonce)).lost == []
    assert queue.where() == {"a": "active", "b": "waiting"}
