"""What is read of a queue: it says where a job stands, and changes nothing."""

import pytest

from jobrunner.model import State
from jobrunner.record import decode_counts, decode_journal
from jobrunner.store import looks

from .conftest import LEASE

LINE = b'{"kind":"note","what":"x"}'


def found(queue, name):
    return looks.found(queue.store.run_many(looks.job(queue.keys, name)))


def ended(queue, name):
    return looks.how_ended(queue.store.run_many(looks.ended(queue.keys, name)))


@pytest.fixture
def one_of_each(queue):
    """A queue with one job in each state, named by it."""
    outcomes = {"completed": "complete", "failed": "fail", "cancelled": "cancel", "parked": "park"}
    queue.put(*outcomes)
    nonce, _ = queue.take(4)
    queue.settle(*[(name, nonce, outcome, 0, LINE) for name, outcome in outcomes.items()])
    queue.put("active")
    queue.take()
    queue.put("waiting")
    queue.put("delayed", when="700")
    return queue


def test_job_is_found_where_it_stands_with_all_that_is_known(one_of_each):
    """People look at one job, and want its whole story in one round trip."""
    queue = one_of_each
    before = queue.snapshot()

    for state in State:
        one = found(queue, state.value)
        assert one.state is state
        assert one.record == queue.redis.hget(queue.keys["jobs"], state.value)
        assert (one.lease is not None) == (state is State.ACTIVE)
        entries = decode_journal(one.journal)
        assert len(entries) == (state.ended or state is State.PARKED)
    assert found(queue, "active").scores == {State.ACTIVE: queue.now + LEASE}
    assert found(queue, "delayed").scores == {State.DELAYED: queue.now + 700}
    assert decode_counts(found(queue, "failed").attempts).runs == 1
    assert queue.snapshot() == before


def test_job_that_is_not_there_is_nowhere(queue):
    """Never known, or forgotten: nothing is held of it, and it is no error."""
    one = found(queue, "none")
    assert one.state is None
    assert [one.record, one.attempts, one.journal, one.lease, one.steps, one.progress, one.logs] == [None] * 7
    assert ended(queue, "none") == (None, None, False)


def test_notes_of_a_running_job_are_found(queue):
    """Progress and log lines are looked at while the job runs."""
    queue.put("a")
    nonce, _ = queue.take()
    queue.note(("a", nonce, "step", b"[1]"), ("a", nonce, "progress", b"[0.5]"), ("a", nonce, "log", b"x\n"))
    one = found(queue, "a")
    assert (one.steps, one.progress, one.logs) == (b"[1]\n", b"%d [0.5]" % queue.now, b"x\n")


def test_end_of_a_job_is_told_from_its_absence(one_of_each):
    """Who waits for a result asks until the job has ended, and must notice that it will never be told."""
    queue = one_of_each
    for state in State:
        how, journal, there = ended(queue, state.value)
        assert how is (state if state.ended else None)
        assert there
        assert (journal is not None) == (state.ended or state is State.PARKED)


def test_line_is_shown_in_the_order_it_will_run_and_the_ended_newest_first(queue):
    """The page that people look at begins with what matters now."""
    queue.put("low", priority=1)
    queue.put("high", priority=90)
    queue.put("far", when="900")
    queue.put("near", when="100")

    def page(state, start=0, limit=10):
        return [name for name, _ in queue.run(looks.page(queue.keys, state, start=start, limit=limit))]

    assert page(State.WAITING) == ["high", "low"]
    assert page(State.DELAYED) == ["near", "far"]
    nonce, _ = queue.take(2)
    queue.settle(("high", nonce))
    queue.tick(5)
    queue.settle(("low", nonce))
    assert page(State.COMPLETED) == ["low", "high"]
    assert page(State.COMPLETED, start=1) == ["high"]
    assert page(State.COMPLETED, limit=1) == ["low"]
    assert page(State.FAILED) == []


def test_page_looks_at_a_bounded_number_of_jobs(queue):
    """However many somebody asks for."""
    for start in range(0, 600, 200):
        queue.put(*[f"j{start + k:03d}" for k in range(200)])
    names = [name for name, _ in queue.run(looks.page(queue.keys, State.WAITING, start=0, limit=10**6))]
    assert names == [f"j{k:03d}" for k in range(looks.MAX_PAGE)]


def test_values_are_read_in_the_order_of_the_ids(queue):
    """What is gone leaves a gap, or the next job's record would stand under its name."""
    queue.put("a", "c")
    first, gap, last = queue.run(looks.records(queue.keys, ["a", "b", "c"]))
    assert gap is None
    assert first == last == queue.redis.hget(queue.keys["jobs"], "a")
    assert queue.run(looks.field(queue.keys, "state", ["a", "b"])) == [None, None]


def test_small_hashes_are_read_whole(queue):
    """Statistics and flags; one that is not there is empty."""
    queue.put("a")
    assert queue.run(looks.hash_of(queue.keys["stats"])) == {"enqueued": b"1"}
    assert queue.run(looks.hash_of(queue.keys["meta"])) == {}
    assert queue.run(looks.declared(queue.store.fleet, "q")) is None
    assert queue.run(looks.schemas(queue.store.fleet, "q")) is None
