"""A job that lost its worker so often that the next time is the last one is tried in a process of its own."""

import contextlib
import os
from pathlib import Path

import pytest

from jobrunner.events import JobBuried, JobCancelled, JobSnoozed
from jobrunner.worker import children

from .conftest import raw_client

FILE = Path(__file__).with_name("process_tasks.py")


@pytest.fixture
def suspected(store_url):
    """Return a function that enqueues a job which has lost its worker some times before; it is due once all are there."""

    async def enqueue(running, queue="task.tell", *, crashes=2, number=1, **payload):
        handles = [await running.enqueue(queue, delay=3600, **payload) for _ in range(number)]
        with contextlib.closing(raw_client(store_url)) as client:
            for handle in handles:
                client.hset(f"jr:{{{queue}}}:attempts", handle.id, f"{crashes} 0 {crashes}")
        await running.admin.promote(queue, [handle.id for handle in handles])
        return handles

    return enqueue


@pytest.fixture
def at_work_here(at_work):
    return lambda **options: at_work(file=FILE, **options)


@pytest.mark.parametrize("queue", ["task.tell", "task.tell-plainly"])
async def test_job_on_its_last_chance_runs_in_a_process_of_its_own(at_work_here, suspected, queue):
    """With all that a job has: its result and its steps are kept as anywhere else."""
    async with at_work_here() as running:
        (handle,) = await suspected(running, queue)
        pid, step = await handle.result(timeout=30)
        assert (pid != os.getpid(), step) == (True, 1)


async def test_job_that_has_more_chances_runs_where_its_queue_says(at_work_here, suspected):
    """One lost worker says little of a job, and a process of its own costs as much as many jobs."""
    async with at_work_here() as running:
        (handle,) = await suspected(running, crashes=1)
        assert (await handle.result(timeout=30))[0] == os.getpid()


async def test_job_that_kills_its_process_on_its_last_chance_is_buried_alone(at_work_here, suspected):
    """The worker lives on, and says itself what became of the job."""
    async with at_work_here() as running:
        (handle,) = await suspected(running, how="die")
        await running.until(JobBuried, job_id=handle.id)
        job = await running.look(handle)
        assert job.state == "failed"
        assert (await (await running.enqueue("task.tell")).result(timeout=30))[0] == os.getpid()


async def test_snooze_on_the_last_chance_is_granted(at_work_here, suspected):
    """A wish is a wish, wherever the handler runs."""
    async with at_work_here() as running:
        await suspected(running, how="snooze")
        assert (await running.until(JobSnoozed)).reason == "later"


@pytest.mark.long
async def test_cancelled_thread_on_its_last_chance_is_killed_with_its_process(
    at_work_here, suspected, impatient, tmp_path
):
    """A thread can only be asked to stop; a process need not be asked."""
    async with at_work_here() as running:
        (handle,) = await suspected(running, "task.tell-plainly", how="deaf", file=str(tmp_path / "here"))
        await running.until_stats(lambda _: (tmp_path / "here").exists(), "task.tell-plainly")
        await running.admin.cancel("task.tell-plainly", [handle.id])
        await running.until(JobCancelled, job_id=handle.id)
        assert running.worker.left_behind == 0


@pytest.mark.long
async def test_few_processes_are_made_for_many_jobs_on_their_last_chance(at_work_here, suspected):
    """All jobs of a worker that died are suspected at once; a process for each of them would kill the next one."""
    assert children.APART < 8
    async with at_work_here() as running:
        pool = running.worker.consumers[0]._executor._children
        most, run = 0, pool._run

        async def counted(attempt, begun):
            nonlocal most
            most = max(most, children.APART - pool._apart._value)
            return await run(attempt, begun)

        pool._run = counted
        handles = await suspected(running, number=8)
        pids = [(await handle.result(timeout=60))[0] for handle in handles]
        assert len(set(pids)) == 8, "each had a process of its own"
        assert most == children.APART


@pytest.mark.long
async def test_queue_that_no_child_can_load_runs_its_last_chances_here(at_work, one_queue, suspected):
    """A queue that was made in this process is in no plugin that a child could find."""

    async def tell(job):
        return os.getpid()

    async with at_work(one_queue(tell), plugin_names=("nowhere",)) as running:
        (handle,) = await suspected(running, "task.do")
        assert await handle.result(timeout=30) == os.getpid()
