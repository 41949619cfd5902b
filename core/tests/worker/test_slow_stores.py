"""What a worker does while the store answers late, in part, or not at all: each attempt ends once, and no slot is lost."""

import asyncio
import contextlib

import pytest
from rig.faults import DelayReply, script

from jobrunner import RetryPolicy, Snooze
from jobrunner.events import (
    JobCompleted,
    JobFailed,
    JobLeaseLost,
    JobReleased,
    JobSnoozed,
    JobStarted,
    WorkerHandlerAbandoned,
)
from jobrunner.store import scripts

from .conftest import raw_client

NOTE, EXCHANGE = scripts.script("note").sha, scripts.script("exchange").sha


@pytest.fixture
def proxy(start_proxy, store_url):
    if store_url.startswith("redis+cluster:"):
        pytest.skip("the proxy stands before one server")
    return start_proxy(store_url)


@pytest.mark.long
async def test_attempt_whose_last_words_travel_slowly_ends_once(at_work, one_queue, impatient, proxy):
    """A handler that was stopped has ended, however long its progress takes to be written: nobody is left behind."""

    async def talk(job):
        await job.progress(0.1, "begun")
        await asyncio.sleep(3600)

    slow = proxy.at(1, DelayReply(3.0), only=script(NOTE))
    queue = one_queue(talk, timeout=0.2, concurrency=1)
    async with at_work(queue, url=proxy.url, concurrency=1) as running:
        handle = await running.enqueue()
        await running.failure(handle)
        assert slow.hits == 1
        assert len(running.witness.of(JobFailed)) == 1
        assert running.witness.of(WorkerHandlerAbandoned) == []
        assert running.worker.left_behind == 0
        assert running.worker.consumers[0]._place.free == 1, "its slot was given back twice, or never"


async def test_job_that_ended_before_its_stop_keeps_its_result(at_work, one_queue, impatient, proxy):
    """What the handler returned stands, though its timeout passes while its progress is being written."""

    async def talk(job):
        await job.progress(1.0, "done")
        return "done"

    slow = proxy.at(1, DelayReply(2.0), only=script(NOTE))
    async with at_work(one_queue(talk, timeout=0.3), url=proxy.url) as running:
        handle = await running.enqueue()
        await running.until(JobCompleted)
        assert slow.hits == 1
        assert await handle.result(timeout=20) == "done"
        assert running.witness.of(WorkerHandlerAbandoned) == []


async def test_snooze_whose_history_cannot_be_read_in_time_is_granted(at_work, one_queue, impatient, proxy):
    """Else the attempt would end without an outcome, and its slot would be held for ever."""

    async def wait(job):
        raise Snooze(3600, "not yet")

    slow = proxy.at(1, DelayReply(3.0), only=lambda command: command.name == "HMGET")
    async with at_work(one_queue(wait, timeout=0.3), url=proxy.url) as running:
        await running.enqueue()
        await running.until(JobSnoozed)
        assert slow.hits == 1
        assert running.witness.of(WorkerHandlerAbandoned) == []


async def test_queue_whose_keys_are_broken_costs_no_other_queue_its_leases(at_work, one_queue, store_url):
    """Leases of one queue cannot be renewed; those of the others are all the same."""
    gate = asyncio.Event()

    async def hold(job):
        await gate.wait()
        return job.run

    broken, well = one_queue(hold, name="task.broken"), one_queue(hold, name="task.well")
    async with at_work(broken, well) as running:
        await running.enqueue("task.broken")
        handle = await running.enqueue("task.well")
        await running.until(JobStarted, 2)
        with contextlib.closing(raw_client(store_url)) as client:
            meta = client.hgetall("jr:{task.broken}:meta")
            client.delete("jr:{task.broken}:meta")
            client.set("jr:{task.broken}:meta", "not ours")
            before = client.zscore("jr:{task.well}:active", handle.id)
            async with asyncio.timeout(20):
                while True:
                    if client.zscore("jr:{task.well}:active", handle.id) > before:
                        break
                    await asyncio.sleep(0.05)
            client.delete("jr:{task.broken}:meta")
            client.hset("jr:{task.broken}:meta", mapping=meta)
        gate.set()
        assert await handle.result(timeout=20) == 1


async def test_job_that_comes_back_to_its_zombie_is_told_as_completed(at_work, one_queue, store_url):
    """Both runs of it end at once here: the one is refused, the other was taken, and each is told as what it is."""
    gate, both = asyncio.Event(), asyncio.Event()
    runs = []

    async def hold(job):
        runs.append(job.run)
        if len(runs) == 2:
            both.set()
        with contextlib.suppress(asyncio.CancelledError):
            await gate.wait()
        await gate.wait()
        return job.run

    queue = one_queue(hold, concurrency=2, lease=1.0, retry=RetryPolicy(max_attempts=1))
    async with at_work(queue) as running:
        handle = await running.enqueue()
        await running.until(JobStarted)
        with contextlib.closing(raw_client(store_url)) as client:
            lease = client.hget("jr:{task.do}:lease", handle.id)
            # As if it had run out: another worker took it, and gave it back.
            client.zrem("jr:{task.do}:active", handle.id)
            client.hdel("jr:{task.do}:lease", handle.id)
            client.hset("jr:{task.do}:attempts", handle.id, "1 1 0")
            client.zadd("jr:{task.do}:wait", {handle.id: 1})
            client.lpush("jr:{task.do}:wake", 1)
            assert lease
        await asyncio.wait_for(both.wait(), 20)
        gate.set()
        assert await handle.result(timeout=20) == 2
        await running.until(JobCompleted)
        await running.until(JobLeaseLost)
        assert len(running.witness.of(JobCompleted)) == len(running.witness.of(JobLeaseLost)) == 1
        assert running.witness.of(JobReleased) == []
        assert running.worker.consumers[0].totals.completed == 1
