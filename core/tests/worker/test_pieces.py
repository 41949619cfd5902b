"""Small pieces of a worker by themselves: slots, averages, threads, and what a thread says while the loop writes."""

import asyncio
import contextvars
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner.model import BUCKETS_MS
from jobrunner.worker import notes
from jobrunner.worker.pace import Pace
from jobrunner.worker.slots import Slots
from jobrunner.worker.threads import Threads


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60), st.integers(1, 4))
def test_slots_are_never_overdrawn_nor_lost(moves, total):
    """Whoever takes and gives them, in whatever order."""
    slots = Slots(total)
    places = [slots.place(priority, 9, lambda: None) for priority in range(3)]
    taken = [0, 0, 0]
    for who, takes in moves:
        if takes:
            taken[who] += places[who].take()
        elif taken[who]:
            places[who].give()
            taken[who] -= 1
        assert sum(taken) <= total
    for place in places:
        place.asked(has_more=False)
    assert all(place.free == total - sum(taken) for place in places)


def test_urgent_place_that_was_refused_goes_first():
    """And it is told first, too."""
    slots, told = Slots(1), []
    low = slots.place(1, 5, lambda: told.append("low"))
    high = slots.place(9, 5, lambda: told.append("high"))
    assert low.take()
    assert not high.take()
    low.give()
    assert told == ["high", "low"]
    assert (low.free, high.free) == (0, 1)


def test_urgent_place_claims_what_it_would_take_and_no_more():
    """One that is full by its own bound leaves the others the rest, and is sure of its own."""
    slots, told = Slots(4), []
    low = slots.place(1, 5, lambda: told.append("low"))
    slots.place(9, 5, lambda: told.append("equal"))
    high = slots.place(9, 2, lambda: told.append("high"))
    assert high.take()
    assert (low.free, high.free) == (3, 3)
    high.asked(has_more=True)
    assert (low.free, high.free) == (2, 3)
    assert high.take()
    assert (low.free, high.free) == (2, 2)
    assert low.take()
    high.give()
    assert low.free == 1, "the slot that it gave back is still its own"
    told.clear()
    high.asked(has_more=False)
    assert (low.free, told) == (2, ["low"])


@given(
    st.lists(st.floats(0, 1e5), min_size=1, max_size=50), st.lists(st.floats(0, 10), min_size=1, max_size=50)
)
def test_pace_never_reserves_for_longer_than_a_round_trip(durations, trips):
    """However odd the measurements; and each is counted in exactly one bucket."""
    pace = Pace()
    for duration in durations:
        pace.ran(duration)
    for trip in trips:
        pace.travelled(trip)
    assert 0 <= pace.ahead(10) <= 10 * 1.0 / min(max(min(durations), 1e-6), 1.0)
    counters = pace.take_counters()
    assert sum(count for name, count in counters.items() if name != "duration:sum") == len(durations)
    assert pace.take_counters() == {}


def test_buckets_hold_what_their_bounds_say():
    """An operator reads them."""
    pace = Pace()
    for bound in BUCKETS_MS:
        pace.waited(bound)
    pace.waited(BUCKETS_MS[-1] + 1)
    counters = pace.take_counters()
    assert [counters[f"wait:{bound}"] for bound in BUCKETS_MS] == [1] * len(BUCKETS_MS)
    assert counters["wait:inf"] == 1


async def test_thread_is_used_again_and_carries_the_callers_context():
    """Making one for each job would cost more than most jobs; a trace lives in the context."""
    threads, trace = Threads("test"), contextvars.ContextVar("trace")
    trace.set("t-1")
    first = await threads.run(lambda: (threading.get_ident(), trace.get()))
    second = await threads.run(lambda: (threading.get_ident(), trace.get()))
    assert first == second
    assert first[1] == "t-1"
    threads.close()


async def test_thread_that_was_left_is_used_again_once_it_has_ended():
    """And not before: its work is still in it."""
    threads, gate, news = Threads("test"), threading.Event(), []
    back = asyncio.Event()
    task = asyncio.create_task(
        threads.run(
            gate.wait, left=lambda: news.append("left"), back=lambda: (news.append("back"), back.set())
        )
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    other = await threads.run(threading.current_thread)
    gate.set()
    await back.wait()
    assert news == ["left", "back"]
    assert {await threads.run(threading.current_thread) for _ in range(2)} != {other}
    threads.close()


async def test_all_lines_of_a_thread_are_kept_while_the_loop_writes_them(at_work, one_queue, monkeypatch):
    """A line that comes while others are written must neither be lost nor fail its handler."""
    monkeypatch.setattr(notes, "FLUSH_S", 0.0001)

    def talk(job):
        for number in range(250):
            job.log.info("n", number=number)

    async with at_work(one_queue(talk)) as running:
        handle = await running.enqueue()
        await handle.result(timeout=20)
        lines = await running.admin.logs("task.do", handle.id)
        assert [line["number"] for line in lines] == list(range(250))


async def test_of_many_lines_the_newest_whole_ones_are_kept(at_work, one_queue):
    """Bounded, and never half a line."""

    async def talk(job):
        for number in range(900):
            job.log.info("n", number=number, text="x" * 100)
        job.log.info("giant", text="x" * 100_000)
        job.log.info("last")

    async with at_work(one_queue(talk)) as running:
        handle = await running.enqueue()
        await handle.result(timeout=20)
        lines = await running.admin.logs("task.do", handle.id)
        assert lines[-1]["event"] == "last"
        assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
