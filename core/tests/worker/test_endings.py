"""What becomes of a job, by how its handler ends: in this process's worker, on a real server."""

import asyncio
import threading

import pytest

from jobrunner import Discard, JobFailedError, Retry, RetryPolicy, Snooze
from jobrunner.events import (
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobReleased,
    JobRetried,
    JobSnoozed,
    JobStarted,
    WorkerHandlerAbandoned,
)

FAST = RetryPolicy(max_attempts=3, base=0.0, cap=0.0)


async def test_result_reaches_the_producer(at_work, one_queue):
    """The whole way: enqueue, reserve, run, settle, read."""

    async def double(job):
        return {"number": job.payload.number * 2, "id": job.id}

    async with at_work(one_queue(double)) as running:
        handle = await running.enqueue(number=21)
        assert await handle.result(timeout=20) == {"number": 42, "id": handle.id}
        told = await running.until(JobCompleted)
        assert (told.job_id, told.tenant, told.attempt, told.plugin) == (handle.id, "t1", 1, "shop")


async def test_job_is_tried_until_it_succeeds(at_work, one_queue):
    """Attempts are counted from 1, and each run has a higher number."""
    seen = []

    async def third_time_lucky(job):
        seen.append((job.attempt, job.run, job.max_attempts))
        if job.attempt < 3:
            raise ConnectionError("try again")
        return "done"

    async with at_work(one_queue(third_time_lucky, retry=FAST)) as running:
        handle = await running.enqueue()
        assert await handle.result(timeout=20) == "done"
        assert seen == [(1, 1, 3), (2, 2, 3), (3, 3, 3)]
        assert [event.attempt for event in running.witness.of(JobRetried)] == [1, 2]
        assert len({event.fingerprint for event in running.witness.of(JobRetried)}) == 1


async def test_job_that_never_succeeds_is_failed_with_its_last_error(at_work, one_queue):
    """And kept, for people to look at."""

    async def broken(job):
        raise ValueError(f"no {job.attempt}")

    async with at_work(one_queue(broken, retry=FAST)) as running:
        handle = await running.enqueue()
        with pytest.raises(JobFailedError, match="ValueError: no 3"):
            await handle.result(timeout=20)
        assert len(running.witness.of(JobStarted)) == 3
        assert await running.state(handle) == "failed"


async def test_wishes_are_granted(at_work, one_queue):
    """A discard fails at once, a retry spends an attempt, a snooze does not."""
    seen = []

    async def wishes(job):
        seen.append((job.payload.how, job.attempt))
        done = sum(1 for how, _ in seen if how == job.payload.how)
        if done > 1:
            return job.attempt
        match job.payload.how:
            case "discard":
                raise Discard("nobody wants it")
            case "retry":
                raise Retry(after=0, reason="later")
            case _:
                raise Snooze(0, "not yet")

    async with at_work(one_queue(wishes, retry=FAST)) as running:
        discarded = await running.enqueue(how="discard")
        retried = await running.enqueue(how="retry")
        snoozed = await running.enqueue(how="snooze")

        with pytest.raises(JobFailedError, match="nobody wants it"):
            await discarded.result(timeout=20)
        assert await retried.result(timeout=20) == 2
        assert await snoozed.result(timeout=20) == 1
        assert running.witness.of(JobSnoozed)[0].reason == "not yet"
        assert len(running.witness.of(JobFailed)) == 1


async def test_snoozes_add_up_to_24_hours_and_no_more(at_work, one_queue):
    """A job that snoozes for ever would never be seen by anybody."""

    async def sleepy(job):
        raise Snooze(20 * 3600, "tomorrow")

    async with at_work(one_queue(sleepy)) as running:
        handle = await running.enqueue()
        await running.until(JobSnoozed)
        await running.admin.promote("task.do", [handle.id])

        failed = await running.failure(handle)
        assert "24 h is the most" in failed.error


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_handler_past_its_timeout_fails(at_work, one_queue, impatient, kind):
    """A job that hangs must not hold its slot for ever."""
    release = threading.Event()

    async def hang(job):
        await asyncio.Event().wait()

    def hang_in_thread(job):
        release.wait(20)

    handler = hang if kind == "async" else hang_in_thread
    async with at_work(one_queue(handler, timeout=0.2)) as running:
        handle = await running.enqueue()
        failed = await running.failure(handle)
        release.set()
        assert (failed.error_type, "timeout of 0.2 s" in failed.error) == ("JobTimeoutError", True)
        assert await running.state(handle) == "failed"


async def test_cancelled_handler_sees_the_reason(at_work, one_queue):
    """So that it can undo what it began, and say why."""
    seen = []

    async def patient(job):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append((job.cancelled, job.cancel_reason))
            raise

    async with at_work(one_queue(patient)) as running:
        handle = await running.enqueue()
        await running.until(JobStarted)
        await running.admin.cancel("task.do", [handle.id], "the customer left")

        told = await running.until(JobCancelled)
        assert told.reason == "the customer left"
        assert seen == [(True, "the customer left")]
        assert await running.state(handle) == "cancelled"


async def test_cancelled_thread_sees_the_reason_and_may_still_finish(at_work, one_queue):
    """A thread can only be asked; what it returned counts."""

    def polite(job):
        while not job.cancelled:
            threading.Event().wait(0.01)
        return job.cancel_reason

    async with at_work(one_queue(polite)) as running:
        handle = await running.enqueue()
        await running.until(JobStarted)
        await running.admin.cancel("task.do", [handle.id], "enough")
        assert await handle.result(timeout=20) == "enough"


@pytest.mark.parametrize("how", ["cancel", "lost"])
async def test_job_that_is_stopped_before_its_handler_begins_frees_its_slot(at_work, one_queue, how):
    """A frozen worker that comes back starts what it reserved and learns at once that the lease is gone.

    A task that is cancelled before its first step never runs: nothing of it would ever say that it ended.
    """
    began = []

    async def handler(job):
        began.append(job.id)
        return job.payload.number

    async with at_work(one_queue(handler, concurrency=1)) as running:
        (consumer,) = running.worker.consumers

        def stop_the_first(event):
            if isinstance(event, JobStarted) and len(running.witness.of(JobStarted)) == 1:
                words = ("enough",) if how == "cancel" else ()
                loop = asyncio.get_running_loop()
                loop.call_soon(getattr(consumer, how), consumer.held[event.job_id], *words)

        running.witness.also = stop_the_first
        first = await running.enqueue()
        second = await running.enqueue(number=2)

        assert await second.result(timeout=20) == 2
        assert running.witness.of(WorkerHandlerAbandoned) == []
        assert consumer.abandoned == 0
        assert began[-1] == second.id
        assert how != "cancel" or await running.state(first) == "cancelled"


async def test_handler_that_ignores_its_end_is_left_behind_and_its_slot_used_again(
    at_work, one_queue, impatient
):
    """One bad handler must not take a slot away for ever, nor go unseen."""
    released = asyncio.Event()

    async def stubborn(job):
        while job.payload.how == "stubborn" and not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        return "free"

    async with at_work(one_queue(stubborn, timeout=0.2, concurrency=3)) as running:
        bad = await running.enqueue(how="stubborn")
        await running.failure(bad)
        told = await running.until(WorkerHandlerAbandoned)
        assert (told.job_id, told.abandoned, running.worker.left_behind) == (bad.id, 1, 1)

        good = await running.enqueue(how="well")
        assert await good.result(timeout=20) == "free"
        released.set()
        again = await running.enqueue(how="well")
        await again.result(timeout=20)
        assert running.worker.left_behind == 0


async def test_thread_that_ignores_its_end_is_left_behind(at_work, one_queue, impatient):
    """A thread cannot be ended; the job is settled without it."""
    release = threading.Event()

    def deaf(job):
        if job.payload.how == "deaf":
            release.wait(20)
        return "heard"

    async with at_work(one_queue(deaf, timeout=0.2, concurrency=3)) as running:
        bad = await running.enqueue(how="deaf")
        failed = await running.failure(bad)
        assert failed.error_type == "JobTimeoutError"
        assert running.worker.left_behind == 1
        good = await running.enqueue(how="well")
        assert await good.result(timeout=20) == "heard"
        release.set()


async def test_worker_with_half_its_slots_left_behind_drains_and_ends_with_1(at_work, one_queue, impatient):
    """A supervisor then starts a fresh one."""
    release = threading.Event()

    def deaf(job):
        release.wait(20)

    async with at_work(one_queue(deaf, timeout=0.2, concurrency=2), grace=0.1) as running:
        await running.enqueue()
        async with asyncio.timeout(20):
            status = await running.ended
        release.set()
        assert status == 1


async def test_running_job_is_given_back_unspent_at_the_end_of_the_grace(at_work, one_queue):
    """A deploy costs nobody an attempt."""

    async def long(job):
        if job.run == 1:
            await asyncio.Event().wait()
        return job.attempt

    async with at_work(one_queue(long), grace=0.05) as running:
        handle = await running.enqueue()
        await running.until(JobStarted)
        assert await running.stop() == 0
        assert running.witness.of(JobReleased)[0].job_id == handle.id
        assert await running.state(handle) == "waiting"
    async with at_work(one_queue(long)) as running:
        assert await running.client.handle("task.do", handle.id).result(timeout=20) == 1
