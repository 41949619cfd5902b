"""Rates from two looks: what rose, by how much a second, and when nobody can tell."""

import msgspec
import pytest

from jobrunner.pulse import Look, pulse, rate
from jobrunner.views import QueueStats, WorkerView


def stats(name="a", **more):
    nought = dict.fromkeys(
        ("waiting", "active", "completed", "failed", "total", "delayed", "cancelled", "parked", "workers"), 0
    )
    base = {"completed_total": 0, "failed_total": 0, "oldest_waiting_ms": -1, "paused": False}
    return QueueStats(name=name, **(nought | base | more))


def worker(**more):
    base = {"id": "w", "host": "h", "pid": 1, "version": "1", "started_ms": 0, "seen_ms": 0, "alive": True}
    return WorkerView(**(base | more))


def look(at, *queues, workers=()):
    return Look(at=at, queues=list(queues), workers=list(workers))


def test_rates_are_what_rose_by_the_time_between():
    """By the store's clock at both looks, so that no machine's own clock matters."""
    before = look(10_000, stats(completed_total=100, failed_total=7))
    now = look(12_500, stats(completed_total=200, failed_total=8))

    found = pulse(before, now)

    assert found.seconds == 2.5
    (queue,) = found.queues
    assert (queue.completed_per_second, queue.failed_per_second) == (40.0, 0.4)
    assert (found.totals.completed_per_second, found.totals.failed_per_second) == (40.0, 0.4)


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        (None, 5, 1.0),  # a new queue
        (5, None, 1.0),  # only some tenants' jobs are counted
        (5, 9, None),  # the first look
        (9, 5, 1.0),  # the store was emptied: what rose since nobody knows
    ],
)
def test_rate_that_cannot_be_known_is_none_and_never_negative(before, now, seconds):
    """A nought would be a claim."""
    assert rate(before, now, seconds) is None


@pytest.mark.parametrize("at", [1000, 999])
def test_clock_that_stands_or_goes_back_gives_no_rate(at):
    """A failover may land on a server whose clock is behind."""
    found = pulse(look(1000, stats(completed_total=1)), look(at, stats(completed_total=9)))
    assert found.seconds is None
    assert found.queues[0].completed_per_second is None


def test_totals_leave_out_what_nobody_knows_and_workers_that_are_gone():
    """One new queue must not hide the rate of all others; a silent worker has no slots."""
    before = look(0, stats("a", completed_total=10))
    now = look(
        2000,
        stats("a", completed_total=30, waiting=3, oldest_waiting_ms=700, active=1),
        stats("b", completed_total=99, waiting=1, oldest_waiting_ms=900, delayed=4),
        workers=[
            worker(queues={"a": 2, "b": 3}, running=1),
            worker(id="x", alive=False, running=5, queues={"a": 9}),
        ],
    )
    totals = pulse(before, now).totals
    assert (totals.completed_per_second, totals.waiting, totals.delayed) == (10.0, 4, 4)
    assert totals.oldest_waiting_ms == 900
    assert (totals.workers, totals.running, totals.slots) == (1, 1, 5)
    assert pulse(None, now).totals.completed_per_second is None


def test_json_is_in_camel_case_with_null_for_what_is_unknown():
    """Programs read it line by line."""
    found = msgspec.json.decode(msgspec.json.encode(pulse(None, look(5, stats()))))
    assert set(found) == {"at", "seconds", "queues", "workers", "totals"}
    assert found["queues"][0]["completedPerSecond"] is None
    assert found["totals"]["oldestWaitingMs"] == -1
