"""`Harness` and time: what runs when, and how handlers are made to stop."""

import asyncio
import itertools
import threading
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from jobrunner import (
    Job,
    JobNotFoundError,
    Keep,
    Queue,
    Retry,
    RetryPolicy,
    Snooze,
    State,
    SyncJob,
)
from jobrunner.events import JobFailed, JobRetried, JobSnoozed, JobStarted
from jobrunner.testing import EndlessWorkError, Harness

START = datetime(2030, 1, 1, tzinfo=UTC)


class Note(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str = "t1"
    text: str = "a"


def queue(handler, name: str = "note.send", **options) -> Queue:
    return Queue(name, Note, handler, **options)


async def echo(job: Job[Note]) -> str:
    return job.payload.text


def started_after_s(harness: Harness) -> list[float]:
    """When each attempt began, in seconds since the start."""
    return [event.timestamp - START.timestamp() for event in harness.events_of(JobStarted)]


# ---- what runs when --------------------------------------------------------------------------------------------


async def test_nothing_runs_until_the_test_says_so() -> None:
    """A test looks at what was enqueued before anything happens to it."""
    async with Harness(queue(echo), start=START) as harness:
        handle = await harness.enqueue(
            "note.send", {"text": "hello"}, tenant="t1", priority=3, headers={"trace": "x"}
        )

        waiting = harness.job(handle)
        ran = await harness.drain()
        done = harness.job(handle)

        assert (waiting.state, waiting.attempts, waiting.payload) == ("waiting", 0, Note(text="hello"))
        assert (waiting.priority, waiting.headers, waiting.enqueued_at) == (3, {"trace": "x"}, START)
        assert (ran, done.state, done.attempts, done.result) == (1, State.COMPLETED, 1, "hello")
        assert await handle.result(timeout=1) == "hello"


async def test_delayed_job_runs_at_its_moment() -> None:
    """Not a second before, and without waiting for it."""
    async with Harness(queue(echo), start=START) as harness:
        handle = await harness.enqueue("note.send", {}, delay="2h")
        at = await harness.enqueue("note.send", {}, at=START + timedelta(hours=3))
        assert harness.job(handle).due == START + timedelta(hours=2)

        assert await harness.advance(2 * 3600 - 1) == 0
        assert await harness.advance(1) == 1
        assert (harness.job(handle).state, harness.job(at).state) == ("completed", "delayed")
        assert await harness.advance(timedelta(hours=5)) == 1

        assert started_after_s(harness) == [7200, 10_800]
        assert harness.now == START + timedelta(hours=7)


async def test_retries_run_at_the_times_their_backoff_names() -> None:
    """A chain of retries passes in one call, each at its own virtual moment, until the job is given up."""

    async def handler(job: Job[Note]) -> None:
        raise ValueError(job.attempt)

    policy = RetryPolicy(max_attempts=5, base=600, factor=2, cap=3600)
    async with Harness(queue(handler, retry=policy), start=START) as harness:
        handle = await harness.enqueue("note.send", {})

        assert await harness.advance("4h") == 5

        job = harness.job(handle)
        assert (job.state, job.attempts, [error.message for error in job.errors]) == (
            "failed",
            5,
            list("12345"),
        )
        waits = [event.delay_ms / 1000 for event in harness.events_of(JobRetried)]
        begun = started_after_s(harness)
        assert [late - early for early, late in itertools.pairwise(begun)] == pytest.approx(waits, abs=0.01)
        assert [event.attempt for event in harness.events_of(JobFailed)] == [5]


async def test_job_that_asks_for_a_time_gets_it() -> None:
    """`Retry(after)` waits at least so long, a snooze exactly, and a snooze spends no attempt."""

    async def handler(job: Job[Note]) -> int:
        if job.run == 1:
            raise Snooze(3600, "not yet")
        if job.run == 2:
            raise Retry(after=600)
        return job.attempt

    async with Harness(queue(handler), start=START) as harness:
        handle = await harness.enqueue("note.send", {})
        await harness.drain()
        snoozed = harness.job(handle)

        await harness.advance("2h")

        assert (snoozed.state, snoozed.reason, snoozed.attempts) == ("delayed", "not yet", 0)
        assert harness.job(handle).result == 2
        first, second, third = started_after_s(harness)
        assert (first, second) == (0, 3600)
        assert 600 <= third - second <= 661


async def test_snoozes_end_after_a_day_in_all() -> None:
    """The budget is counted over the job's life, as in production."""

    async def handler(job: Job[Note]) -> None:
        raise Snooze(6 * 3600)

    async with Harness(queue(handler, retry=RetryPolicy(max_attempts=1))) as harness:
        handle = await harness.enqueue("note.send", {})

        await harness.advance("3d")

        assert harness.job(handle).state == "failed"
        assert len(harness.events_of(JobSnoozed)) == 4


async def test_run_due_runs_each_job_once() -> None:
    """What a round makes due is left for the next one, so that a test can look in between."""

    async def handler(job: Job[Note]) -> None:
        if job.payload.text == "parent":
            await job.enqueue("note.send", {"text": "child"})
        raise Retry(after=0)

    made = queue(handler, concurrency=2, retry=RetryPolicy(max_attempts=3))
    async with Harness(made) as harness:
        for text in ("a", "b", "parent", "c", "d"):
            await harness.enqueue("note.send", {"text": text})

        rounds = [await harness.run_due() for _ in range(5)]

        assert rounds == [5, 6, 6, 1, 0]
        assert {job.attempts for job in harness.jobs("note.send", "failed")} == {3}


async def test_jobs_of_jobs_run_in_the_same_drain() -> None:
    """A chain over queues ends in one call; tenants are handed on, and a retry enqueues nothing twice."""

    async def parent(job: Job[Note]) -> None:
        await job.enqueue("note.child", {"text": "b", "tenantId": ""})
        if job.attempt == 1:
            raise Retry(after=1)

    def child(job: SyncJob[Note]) -> str:
        return job.tenant

    async with Harness(queue(parent, "note.parent"), queue(child, "note.child")) as harness:
        await harness.enqueue("note.parent", {"tenantId": "t7"})
        assert await harness.drain() == 2

        await harness.advance("1m")

        (job,) = harness.jobs("note.child")
        assert job.result == "t7"


async def test_time_without_a_worker_only_passes() -> None:
    """What a worker that was down finds when it is back: everything that fell due meanwhile."""
    async with Harness(queue(echo), start=START) as harness:
        for hours in (1, 2):
            await harness.enqueue("note.send", {}, delay=f"{hours}h")

        assert await harness.advance("3h", working=False) == 0
        assert await harness.drain() == 2
        assert started_after_s(harness) == [10_800, 10_800]


async def test_jobs_are_trimmed_as_time_passes() -> None:
    """A job that its queue keeps for an hour is gone after it, and the error says why that may be."""
    async with Harness(queue(echo, keep_completed=Keep(age=3600))) as harness:
        handle = await harness.enqueue("note.send", {})
        await harness.advance("59m")
        assert harness.job(handle).state == "completed"

        await harness.advance("2m")

        with pytest.raises(JobNotFoundError, match="it may have been trimmed when the clock moved"):
            harness.job(handle)
        with pytest.raises(JobNotFoundError, match="no queue of this harness has a job"):
            harness.job(handle.id)


async def test_priority_and_tenants_keep_their_order() -> None:
    """The order is the store's own, so a test of priorities tests the real thing."""
    order: list[str] = []

    async def handler(job: Job[Note]) -> None:
        order.append(job.payload.text)

    async with Harness(queue(handler, concurrency=1)) as harness:
        for text, priority, tenant in (
            ("low", 0, "t1"),
            ("flood", 5, "t1"),
            ("flood", 5, "t1"),
            ("other", 5, "t2"),
            ("top", 9, "t1"),
        ):
            await harness.enqueue("note.send", {"text": text, "tenantId": tenant}, priority=priority)

        await harness.drain()

        assert order == ["top", "flood", "other", "flood", "low"]


async def test_concurrency_is_the_queues_own() -> None:
    """Two jobs that need each other run at once where the queue allows two, and its variable is heard."""
    both = asyncio.Barrier(2)

    async def handler(job: Job[Note]) -> None:
        await both.wait()

    made = queue(handler, concurrency=1, concurrency_env="NOTE_CONCURRENCY")
    async with Harness(made, environ={"NOTE_CONCURRENCY": "2"}) as harness:
        for _ in range(2):
            await harness.enqueue("note.send", {})

        assert await harness.drain() == 2


async def test_work_without_end_is_an_error() -> None:
    """A job that retries itself at once for ever fails the test instead of hanging it."""

    async def handler(job: Job[Note]) -> None:
        await job.enqueue("note.send", {})

    async with Harness(queue(handler), limit=20) as harness:
        await harness.enqueue("note.send", {})

        with pytest.raises(EndlessWorkError, match=r"note\.send began 20 attempts and is not done"):
            await harness.drain()


async def test_what_cannot_run_does_not_hang_a_drain() -> None:
    """A paused queue keeps its jobs, and the drain ends."""
    async with Harness(queue(echo)) as harness:
        handle = await harness.enqueue("note.send", {})
        keys = harness.client.store.keys("note.send")
        harness.sync_client.store.link.send(["HSET", keys["meta"], "paused", "1"])

        assert (await harness.drain(), await harness.run_due(), await harness.advance("1h")) == (0, 0, 0)
        assert harness.job(handle).state == "waiting"


# ---- stopping handlers -----------------------------------------------------------------------------------------


async def test_waiting_job_is_cancelled_at_once() -> None:
    """And never runs."""
    async with Harness(queue(echo)) as harness:
        handle = await harness.enqueue("note.send", {})

        assert await harness.cancel(handle, "not needed") == "cancelled"

        assert await harness.drain() == 0
        assert (harness.job(handle).state, harness.job(handle).reason) == ("cancelled", "not needed")
        assert await harness.cancel(handle.id) == "ended"


async def test_running_handler_learns_that_it_is_cancelled() -> None:
    """With the reason that somebody gave, in a handler of either kind."""
    begun, seen = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    async def handler(job: Job[Note]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append((job.cancelled, job.cancel_reason))

    def plain(job: SyncJob[Note]) -> None:
        loop.call_soon_threadsafe(begun.set)
        told = threading.Event()
        while not job.cancelled:
            told.wait(0.001)
        seen.append((job.cancelled, job.cancel_reason))

    for one in (handler, plain):
        async with Harness(queue(one)) as harness:
            begun.clear()
            handle = await harness.enqueue("note.send", {})
            draining = asyncio.create_task(harness.drain())
            await begun.wait()

            assert await harness.cancel(handle, "the post was deleted") == "requested"

            await draining
            assert harness.job(handle).state == ("cancelled" if one is handler else "completed")
    assert seen == [(True, "the post was deleted")] * 2


async def test_handler_past_its_timeout_is_stopped() -> None:
    """An hour's timeout is met by moving the clock under a drain that is under way."""
    begun = asyncio.Event()

    async def handler(job: Job[Note]) -> str:
        if job.attempt == 1:
            begun.set()
            await asyncio.Event().wait()
        return "second"

    async with Harness(queue(handler, timeout=3600, retry=RetryPolicy(base=1))) as harness:
        handle = await harness.enqueue("note.send", {})
        draining = asyncio.create_task(harness.drain())
        await begun.wait()

        await harness.advance("61m")
        await draining
        await harness.advance("1m")

        job = harness.job(handle)
        assert (job.result, [error.error_type for error in job.errors]) == ("second", ["JobTimeoutError"])


async def test_cancelled_drain_gives_its_jobs_back() -> None:
    """A test runner's timeout does not leave handlers running behind it, and the job is uncharged."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(job: Job[Note]) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Harness(queue(handler)) as harness:
        handle = await harness.enqueue("note.send", {})
        draining = asyncio.create_task(harness.drain())
        await begun.wait()

        draining.cancel()

        with pytest.raises(asyncio.CancelledError):
            await draining
        assert ended.is_set()
        assert (harness.job(handle).state, harness.job(handle).attempts) == ("waiting", 0)
