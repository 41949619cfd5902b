"""`kill_after`: an attempt's process is gone at a place, and the job comes back as after a lost lease."""

import msgspec
import pytest

from jobrunner import Job, Queue, SyncJob
from jobrunner.events import JobBuried, JobRecovered, JobStarted
from jobrunner.testing import Harness, perform_job


class Note(msgspec.Struct, rename="camel"):
    text: str = ""


class Outside:
    """What the jobs do outside, and what they have cleaned up."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.clean_ups = 0

    def do(self, what: str) -> str:
        self.done.append(what)
        return what


def queues(outside: Outside) -> list[Queue]:
    async def on_loop(job: Job[Note]) -> str:
        try:
            await job.step("upload", outside.do, "upload")
            await job.enqueue("note.count", {})
            await job.step("post", outside.do, "post")
        finally:
            outside.clean_ups += 1
        return "done"

    def in_thread(job: SyncJob[Note]) -> str:
        try:
            job.step("upload", outside.do, "upload")
            job.enqueue("note.count", {})
            job.step("post", outside.do, "post")
        finally:
            outside.clean_ups += 1
        return "done"

    async def count(job: Job[Note]) -> None:
        pass

    return [
        Queue("note.async", Note, on_loop),
        Queue("note.thread", Note, in_thread),
        Queue("note.count", Note, count),
    ]


PLACES = {
    "start": ([], ["upload", "post"]),
    "effect:upload": (["upload"], ["upload", "upload", "post"]),
    "step:upload": (["upload"], ["upload", "post"]),
    "enqueue:note.count": (["upload"], ["upload", "post"]),
    "step:post": (["upload", "post"], ["upload", "post"]),
    "end": (["upload", "post"], ["upload", "post"]),
}
"""Place -> what was done outside when the process died, and in the end."""


@pytest.mark.parametrize("queue", ["note.async", "note.thread"])
@pytest.mark.parametrize("where", PLACES)
async def test_killed_attempt_comes_back_after_its_lease(queue: str, where: str) -> None:
    """What was stored is not done again, what was not stored is, and no job of the job is there twice."""
    outside = Outside()
    before, after = PLACES[where]
    async with Harness(*queues(outside)) as harness:
        harness.kill_after(where, queue=queue)
        handle = await harness.enqueue(queue, {})

        await harness.drain()
        assert (harness.job(handle).state, outside.done) == ("active", before)
        await harness.advance("29s")
        assert harness.job(handle).state == "active"
        await harness.advance("2m")

        job = harness.job(handle).expect("completed")
        assert (job.crashes, job.attempts, outside.done) == (1, 1, after)
        assert len(harness.jobs("note.count")) == 1
        assert [event.job_id for event in harness.events_of(JobRecovered)] == [handle.id]


async def test_nothing_of_a_killed_handler_runs_on() -> None:
    """A process that was killed cleans nothing up; the test's own unwinding comes when the harness is left."""
    outside = Outside()
    async with Harness(*queues(outside)) as harness:
        harness.kill_after("step:upload")
        await harness.enqueue("note.async", {})
        await harness.drain()
        assert outside.clean_ups == 0

        await harness.advance("5m")
        assert outside.clean_ups == 1
    assert outside.clean_ups == 2


async def test_others_are_not_harmed() -> None:
    """One attempt dies; those beside it, and those after it, run."""
    outside = Outside()
    async with Harness(*queues(outside)) as harness:
        harness.kill_after("step:upload", queue="note.thread")
        killed = await harness.enqueue("note.thread", {})
        others = [await harness.enqueue("note.async", {}) for _ in range(3)]

        await harness.drain()

        assert harness.job(killed).state == "active"
        assert {harness.job(other).state.value for other in others} == {"completed"}


async def test_job_that_kills_its_process_again_and_again_is_buried() -> None:
    """As in production: `max_crashes` is 3."""
    async with Harness(*queues(Outside())) as harness:
        harness.kill_after("start", queue="note.async", times=3)
        handle = await harness.enqueue("note.async", {})

        await harness.advance("1h")

        assert harness.job(handle).expect("failed").crashes == 3
        assert len(harness.events_of(JobStarted)) == 3
        assert len(harness.events_of(JobBuried)) == 1


async def test_job_that_is_cancelled_meanwhile_does_not_come_back() -> None:
    """Somebody cancels it while nobody runs it any more."""
    async with Harness(*queues(Outside())) as harness:
        harness.kill_after("step:upload")
        handle = await harness.enqueue("note.async", {})
        await harness.drain()

        await harness.cancel(handle, "enough")
        await harness.advance("5m")

        harness.job(handle).expect("cancelled")


async def test_crash_that_nobody_came_to_fails_the_test() -> None:
    """A place that is misspelt would test nothing, and look as if it did."""
    harness = Harness(*queues(Outside()))
    await harness.__aenter__()
    harness.kill_after("step:uplaod")
    await harness.enqueue("note.async", {})
    await harness.drain()

    with pytest.raises(AssertionError) as seen:
        await harness.__aexit__(None, None, None)

    assert str(seen.value) == (
        "no attempt came to 'step:uplaod'; they came to: start, effect:upload, step:upload, enqueue:note.count, "
        "effect:post, step:post, end"
    )


@pytest.mark.parametrize("where", ["", "step", "step:", "middle", "start:now"])
async def test_place_that_does_not_exist_is_refused(where: str) -> None:
    """With the places that there are."""
    async with Harness(*queues(Outside())) as harness:
        with pytest.raises(ValueError, match="there are start, end, step:NAME, effect:NAME, enqueue:NAME"):
            harness.kill_after(where)


@pytest.mark.parametrize("queue", [0, 1])
async def test_performed_attempt_is_lost_and_the_next_one_goes_on(queue: int) -> None:
    """`perform_job` has no store to come back from: the steps are handed on by the test."""
    outside = Outside()
    asked = queues(outside)[queue]

    first = await perform_job(asked, {}, kill_after="step:upload")
    second = await perform_job(asked, {}, steps=first.expect("lost").steps)

    assert (first.steps, first.reason) == ({"upload": "upload"}, "its process was killed")
    assert first.delay > 0
    first.expect_none_enqueued()
    second.expect("completed").expect_enqueued("note.count")
    assert outside.done == ["upload", "post"]


async def test_performed_attempt_that_does_not_come_there_fails_the_test() -> None:
    """As in a harness."""
    with pytest.raises(
        AssertionError, match="no attempt came to 'step:other'; they came to: start, effect:upload"
    ):
        await perform_job(queues(Outside())[0], {}, kill_after="step:other")
