"""What a worker takes, in which order, and what it gives back: several queues, few slots, long jobs."""

import asyncio
import contextlib

import pytest

from jobrunner import RetryPolicy
from jobrunner.events import JobCompleted, JobReleased, JobStarted
from jobrunner.worker import consumer

from .conftest import raw_client


@pytest.fixture
def never_polls(monkeypatch):
    """A consumer that is not told of something never finds out."""
    monkeypatch.setattr(consumer, "POLL_S", 3600.0)


async def test_queue_of_low_priority_goes_on_when_the_urgent_one_is_empty(at_work, one_queue, never_polls):
    """It is held back while there is something more urgent, and not a moment longer."""
    order = []

    async def note(job):
        order.append(job.queue)

    queues = [one_queue(note, "task.low", priority=1), one_queue(note, "task.high", priority=9)]
    gate = asyncio.Event()

    async def hold(job):
        await gate.wait()

    async with at_work(*queues, one_queue(hold, "task.hold", priority=5), concurrency=1) as running:
        await running.enqueue("task.hold")
        await running.until(JobStarted)
        for queue in ("task.low", "task.high"):
            await running.client.enqueue_many(queue, [{"number": number} for number in range(20)])
        gate.set()
        await running.until(JobCompleted, 41)
        first_low_ones = order[:22].count("task.low")
        assert first_low_ones <= 2, "one may have been reserved before there was anything urgent"
        assert len(order) == 40


async def test_urgent_job_that_comes_while_others_have_all_slots_is_the_next(at_work, one_queue, never_polls):
    """However many jobs of lower priority wait, and however fast one follows the other."""
    order = []

    async def note(job):
        order.append(job.queue)
        await asyncio.sleep(0.001)

    queues = [one_queue(note, "task.low", priority=1), one_queue(note, "a.high", priority=9)]
    async with at_work(*queues, concurrency=1) as running:
        await running.client.enqueue_many("task.low", [{"number": number} for number in range(200)])
        for round_ in range(1, 4):
            await running.until(JobCompleted, 50 * round_)
            before = len(order)
            await running.client.enqueue("a.high", {"number": 0})
            await running.until(JobCompleted, 50 * round_ + 30)
            assert "a.high" in order[before : before + 10], order[before:].index("a.high")
        await running.until(JobCompleted, 203)


async def test_slots_are_shared_without_one_being_lost(at_work, one_queue, never_polls):
    """Two slots, three queues, every way of ending: at the end both slots are there."""
    running_now, most = 0, 0

    async def work(job):
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await asyncio.sleep(0)
        running_now -= 1
        if job.payload.number % 3 == 0:
            raise ValueError("no")

    names = ("task.a", "task.b", "task.c")
    queues = [one_queue(work, name, priority=at) for at, name in enumerate(names)]
    async with at_work(*queues, concurrency=2) as running:
        for name in names:
            await running.client.enqueue_many(name, [{"number": number} for number in range(100)])
        await running.until(JobCompleted, 3 * 66)
        for name in names:
            await running.until_stats(lambda stats: not (stats.waiting or stats.active), name)
        assert most == 2
        assert all(one._place.free == 2 for one in running.worker.consumers)


async def test_jobs_behind_a_long_one_are_free_for_other_workers(at_work, one_queue):
    """They were reserved while jobs were short; they must not wait for the long one to end, nor go to and fro."""
    gate = asyncio.Event()

    async def mixed(job):
        if job.payload.how == "long":
            await gate.wait()

    async with at_work(one_queue(mixed, concurrency=2)) as running:
        short, long = {"how": "short"}, {"how": "long"}
        await running.client.enqueue_many("task.do", [short] * 1000)
        await running.until(JobCompleted, 1000)
        await running.client.enqueue_many("task.do", [long, long, *[short] * 20])
        await running.until(JobStarted, 1002)
        await running.until_stats(lambda stats: (stats.active, stats.waiting) == (2, 20))

        before = len(running.witness.of(JobReleased))
        await asyncio.sleep(1.0)  # four times as long as a job may be held
        stats = await running.until_stats(lambda stats: stats.active == 2)
        assert stats.waiting == 20
        assert len(running.witness.of(JobReleased)) - before <= 4, "jobs go to and fro"
        gate.set()
        await running.until(JobCompleted, 1022)


async def test_two_workers_share_a_queue_and_each_job_runs_once(at_work, one_queue):
    """The wake-up goes on from one to the next."""
    seen = []

    async def note(job):
        seen.append(job.id)
        await asyncio.sleep(0.001)

    async with (
        at_work(one_queue(note, concurrency=5)) as first,
        at_work(one_queue(note, concurrency=5)) as second,
    ):
        await asyncio.sleep(0)  # both are idle and blocked, or on their way there
        handles = await first.client.enqueue_many("task.do", [{"number": number} for number in range(300)])
        async with asyncio.timeout(20):
            await asyncio.gather(*[handle.result() for handle in handles])
        assert sorted(seen) == sorted(handle.id for handle in handles)
        assert first.witness.of(JobStarted)
        assert second.witness.of(JobStarted)


async def test_queue_cap_of_active_jobs_holds_over_all_workers(at_work, one_queue):
    """A slot is a lease, so it holds whoever has it."""
    now, most = 0, 0

    async def work(job):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1

    queue = one_queue(work, concurrency=10, max_active=3)
    async with at_work(queue) as first, at_work(queue):
        handles = await first.client.enqueue_many("task.do", [{"number": number} for number in range(40)])
        async with asyncio.timeout(25):
            await asyncio.gather(*[handle.result() for handle in handles])
        assert most == 3


async def test_quiet_worker_finishes_what_it_has_and_takes_no_more(at_work, one_queue):
    """For taking a worker out of service by hand."""
    gate = asyncio.Event()

    async def hold(job):
        await gate.wait()

    async with at_work(one_queue(hold, concurrency=1)) as running:
        first = await running.enqueue()
        await running.until(JobStarted)
        running.worker.shutdown.quiet.set()
        second = await running.enqueue()
        gate.set()
        assert await first.result(timeout=20) is None
        await running.until_stats(lambda stats: stats.active == 0)
        assert await running.state(second) == "waiting"


async def test_job_that_is_cancelled_while_it_waits_never_starts(at_work, one_queue):
    """And the one behind it does."""
    gate, ran = asyncio.Event(), []

    async def hold(job):
        ran.append(job.payload.number)
        await gate.wait()

    async with at_work(one_queue(hold, concurrency=1)) as running:
        await running.enqueue(number=1)
        await running.until(JobStarted)
        second, third = await running.enqueue(number=2), await running.enqueue(number=3)
        await running.until_stats(lambda stats: stats.waiting == 2)
        assert await running.admin.cancel("task.do", [second.id]) == {second.id: "cancelled"}
        gate.set()
        await third.result(timeout=20)
        assert ran == [1, 3]
        assert await running.state(second) == "cancelled"


async def test_burst_ends_after_retries_and_snoozes_and_counts_what_is_scheduled(at_work, one_queue):
    """It waits for what has run before, and not for what a producer put off."""

    async def twice(job):
        if job.attempt == 1:
            raise ConnectionError("again")

    retry = RetryPolicy(base=0.3, cap=0.3)
    async with at_work(one_queue(twice, retry=retry), burst=True) as running:
        done = await running.enqueue()
        later = await running.enqueue(delay=3600)
        assert await running.ended == 0
        assert running.worker.burst.scheduled == 1
        assert await running.state(done) == "completed"
        assert await running.state(later) == "delayed"


async def test_worker_whose_number_was_taken_settles_what_it_has_all_the_same(at_work, one_queue, store_url):
    """Should the store remember a later exchange under its name, its jobs must not be renewed for ever."""
    gate = asyncio.Event()

    async def hold(job):
        await gate.wait()
        return job.payload.number

    async with at_work(one_queue(hold)) as running:
        first = await running.enqueue(number=1)
        await running.until(JobStarted)
        with contextlib.closing(raw_client(store_url)) as client:
            client.hset(f"jr:{{task.do}}:memory:{running.worker.id}", "serial", 60)
        gate.set()
        second = await running.enqueue(number=2)
        assert [await first.result(timeout=20), await second.result(timeout=20)] == [1, 2]
        assert await running.stop() == 0
        assert running.worker.consumers[0].held == {}


async def test_queue_that_got_its_slot_back_unseen_is_waited_for_again(
    at_work, one_queue, never_polls, store_url
):
    """Who waits for wake-ups looked while a burst had all slots; a job that came after it lay still for 5 s."""
    if store_url.startswith("redis+cluster:"):
        pytest.skip("there a blocked command is not let go, but ends by itself")

    async def nothing(job):
        await asyncio.sleep(0)

    async def until_blocked(blocked):
        async with asyncio.timeout(20):
            while any("b" in one["flags"] for one in store.client_list()) is not blocked:  # noqa: ASYNC110 - a server tells nothing
                await asyncio.sleep(0.01)

    store = raw_client(store_url)
    async with at_work(one_queue(nothing), concurrency=1) as running:
        served = running.worker.consumers[0]
        await until_blocked(True)
        assert served._place.take()  # as a burst does that leaves no time to wait in between
        served.on_change()  # which another queue does, or this one a little earlier
        await until_blocked(False)

        served._place.give()

        await running.enqueue()
        await running.until(JobCompleted)
