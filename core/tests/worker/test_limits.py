"""Limits as workers hold them: a witness in the handlers says how many ran at once, and for whom."""

import asyncio
import os
import sys
from collections import Counter

import pytest

from jobrunner import Client, RateLimit, State
from jobrunner.admin import Admin
from jobrunner.events import JobStarted
from jobrunner.plugins import Plugins, load
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store
from jobrunner.worker.consumer import Consumer

PLUGIN = """
import asyncio
import os
from pathlib import Path
import msgspec
from jobrunner import Job, Queue, hookimpl


class Task(msgspec.Struct, rename="camel"):
    tenant_id: str = "t1"
    how: str = ""


async def work(job: Job[Task]) -> int:
    if job.payload.how == "hold":
        Path(os.environ["HERE"], job.id).touch()
        await asyncio.sleep(600)
    return os.getpid()


@hookimpl
def jobrunner_queues():
    return [Queue("task.do", Task, work, concurrency=9, lease=1.0, max_active_per_tenant=2)]
"""


class Crowd:
    """A handler that knows how many of it run at once, by tenant."""

    def __init__(self):
        self.now, self.most = Counter(), Counter()

    async def work(self, job):
        self.now[job.tenant] += 1
        self.most[job.tenant] = max(self.most[job.tenant], self.now[job.tenant])
        await asyncio.sleep(0.002)
        self.now[job.tenant] -= 1
        return job.payload.number


async def results(handles):
    async with asyncio.timeout(30):
        return await asyncio.gather(*[handle.result() for handle in handles])


async def test_tenant_limit_holds_over_all_workers_and_nothing_is_left(at_work, one_queue):
    """A slot is a lease, whoever holds it; and what was held comes to its end."""
    crowd = Crowd()
    queue = one_queue(crowd.work, concurrency=10, max_active_per_tenant=2)
    async with at_work(queue) as first, at_work(queue):
        payloads = [{"tenantId": f"t{k % 3}", "number": k} for k in range(150)]
        handles = await first.client.enqueue_many("task.do", payloads)
        assert await results(handles) == list(range(150))
        assert crowd.most == {"t0": 2, "t1": 2, "t2": 2}
        stats = await first.until_stats(lambda stats: stats.completed == 150)
        assert (stats.parked, stats.held) == (0, 0)


async def test_tenant_that_is_paused_starts_nothing_while_others_go_on(at_work, one_queue):
    """And goes on when it is let go, without anybody enqueueing anything."""
    async with at_work(one_queue(concurrency=5)) as running:
        await running.admin.pause("task.do", "t1")
        mine = await running.client.enqueue_many("task.do", [{"number": k} for k in range(5)])
        other = await running.enqueue(tenantId="t2", number=9)
        assert await other.result(timeout=20) == 9
        job = await running.look(mine[0])
        assert job.state == "parked"
        assert "resume task.do --tenant t1" in job.reason
        (listed, *_) = await running.admin.page("task.do", State.PARKED)
        assert (listed.id, listed.reason) == (mine[0].id, job.reason)

        await running.admin.resume("task.do", "t1")
        assert await results(mine) == list(range(5))


async def test_limit_that_is_set_while_it_runs_holds_and_that_is_cleared_lets_go(at_work, one_queue):
    """Operators need no deploy to slow a tenant down."""
    gate = asyncio.Event()

    async def hold(job):
        await gate.wait()

    async with at_work(one_queue(hold, concurrency=5)) as running:
        await running.admin.limits.set("task.do", {"max_active:t1": 1})
        handles = [await running.enqueue() for _ in range(3)]
        await running.until_stats(lambda stats: stats.active == 1 and stats.held == 2)
        assert "1 job at a time" in (await running.look(handles[1])).reason
        await running.admin.limits.set("task.do", {"max_active:t1": ""})
        await running.until(JobStarted, 3)
        gate.set()
        await results(handles)


async def test_burst_waits_for_what_is_held_and_may_run_and_not_for_a_paused_tenant(at_work, one_queue):
    """A burst ends when nothing can run any more."""
    crowd = Crowd()
    queue = one_queue(crowd.work, concurrency=4, max_active_per_tenant=1)
    async with at_work(queue, burst=True) as running:
        await running.admin.pause("task.do", "t2")
        await running.enqueue(tenantId="t2")
        handles = await running.client.enqueue_many("task.do", [{"number": k} for k in range(30)])
        assert await running.ended == 0
        assert await results(handles) == list(range(30))
        (stats,) = await running.admin.stats(["task.do"])
        assert (stats.completed, stats.held) == (30, 1)


@pytest.mark.long
async def test_slots_of_a_worker_that_was_killed_are_used_again(at_work, store_url, tmp_path, start_process):
    """Nobody settles its leases, and its tenant must not be held for ever."""
    file = tmp_path / "tasks.py"
    file.write_text(PLUGIN)
    environ = os.environ | {"REDIS_URL": store_url, "HERE": str(tmp_path)}
    process = start_process(
        [sys.executable, "-m", "jobrunner", "run", "--plugin", str(file)], env=environ, cwd=tmp_path
    )
    plugins = Plugins(list(load((str(file),), {})))
    async with Client(open_store(parse_url(store_url)), plugins) as client:
        held = await client.enqueue_many("task.do", [{"how": "hold"}] * 2)
        behind = await client.enqueue_many("task.do", [{}] * 3)
        async with asyncio.timeout(30):
            while len([one for one in held if (tmp_path / one.id).exists()]) < 2:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        admin = Admin(client.store, plugins)
        (stats,) = await admin.stats(["task.do"])
        assert (stats.active, stats.waiting + stats.held) == (2, 3)
        process.kill()

        async with at_work(file=file):
            assert set(await results(behind)) == {os.getpid()}
            await admin.cancel("task.do", [one.id for one in held], "the test is over")


def most_in(times_ms, span_ms):
    """The most events in any span of a length."""
    return max(sum(begin <= at < begin + span_ms for at in times_ms) for begin in times_ms)


async def reserved_ms(client, queue="task.do"):
    """When each job was reserved, by the store's clock: from the queue's own event stream."""
    entries = await client.store.run(
        calls.plain(["XRANGE", client.store.keys(queue)["events"], "-", "+"], lambda reply: reply)
    )
    times = []
    for entry_id, flat in entries:
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        times += [int(entry_id.split(b"-")[0])] * int(fields.get(b"started", 0))
    return times


async def test_rate_of_a_queue_holds_over_all_workers(at_work, one_queue):
    """By the store's clock, in every span of that length, however many workers there are."""
    queue = one_queue(concurrency=10, rate_limit=RateLimit(jobs=10, per_seconds=0.5, burst=2))
    async with at_work(queue) as first, at_work(queue):
        handles = await first.client.enqueue_many("task.do", [{"number": k} for k in range(25)])
        assert await results(handles) == list(range(25))
        times = await reserved_ms(first.client)
        assert len(times) == 25
        assert most_in(times, 500) <= 11
        assert max(Counter(times).values()) <= 2


async def test_rate_of_a_tenant_holds_and_lets_the_others_go(at_work, one_queue):
    """And what was held comes to its end with nobody waking anything."""
    queue = one_queue(concurrency=10, rate_limit_per_tenant=RateLimit(jobs=10, per_seconds=0.5, burst=1))
    async with at_work(queue) as first, at_work(queue):
        mine = await first.client.enqueue_many("task.do", [{"number": k} for k in range(12)])
        other = await first.enqueue(tenantId="t2", number=99)
        assert await other.result(timeout=20) == 99
        assert await results(mine) == list(range(12))
        times = await reserved_ms(first.client)
        assert most_in(times, 500) <= 11, "ten of one tenant, and the one of the other"


async def test_worker_whose_slots_are_full_sleeps_though_something_is_due(at_work, one_queue, monkeypatch):
    """What is due waits for a slot; a worker that asks for it all the while takes the core from its own handlers."""
    gate, waits = asyncio.Event(), []
    wait = Consumer._wait

    async def counted(self):
        waits.append(1)
        await wait(self)

    async def hold(job):
        await gate.wait()
        return job.payload.number

    monkeypatch.setattr(Consumer, "_wait", counted)
    queue = one_queue(hold, concurrency=1, rate_limit=RateLimit(jobs=100, per_seconds=1, burst=1))
    async with at_work(queue) as running:
        handles = await running.client.enqueue_many("task.do", [{"number": k} for k in range(3)])
        await running.enqueue(delay=0.05, number=3)
        await running.until(JobStarted)
        await asyncio.sleep(0.5)  # nothing tells that nothing happens
        assert len(waits) < 50
        gate.set()
        assert await results(handles) == [0, 1, 2]
