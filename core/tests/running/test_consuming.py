"""How a worker takes jobs: as many as it can start, the urgent ones first, and none that it would hold back."""

import asyncio

import msgspec

from jobrunner import Job, Queue, RetryPolicy
from jobrunner.store import calls
from jobrunner.worker.burst import Burst


class Task(msgspec.Struct):
    number: int = 0


async def test_long_jobs_are_not_held_by_a_worker_that_cannot_start_them(bed):
    """Another worker could run them."""
    gate = asyncio.Event()

    async def handler(job: Job[Task]) -> None:
        await gate.wait()

    here = bed(Queue("task.long", Task, handler, concurrency=2))
    await here.client.enqueue_many("task.long", [Task(n) for n in range(20)])
    async with here.running() as worker:
        await here.until(lambda: any(len(one.running) == 2 for one in worker.consumers))
        (consumer,) = worker.consumers
        await asyncio.sleep(0.3)
        counts = await here.store.run(calls.counts(here.store.keys("task.long")))
        assert (counts.active, counts.waiting) == (2, 18)
        gate.set()
        await here.until(lambda: consumer.totals.completed == 20)


async def test_short_jobs_flow_in_batches(bed):
    """A round trip a job would be most of the time."""

    async def handler(job: Job[Task]) -> None:
        return

    here = bed(Queue("task.short", Task, handler, concurrency=5))
    await here.client.enqueue_many("task.short", [Task(n) for n in range(3000)])
    before = await here.store.run(calls.plain(["INFO", "commandstats"], _calls))
    await here.burst()
    after = await here.store.run(calls.plain(["INFO", "commandstats"], _calls))
    assert after - before < 600, "exchanges for 3,000 jobs"


def _calls(raw):
    return sum(
        int(line.split(b"calls=")[1].split(b",")[0])
        for line in raw.splitlines()
        if line.startswith(b"cmdstat_evalsha:")
    )


async def test_urgent_queue_goes_first_when_slots_are_short(bed):
    """With one slot for two queues the order is the priority."""
    order = []

    async def handler(job: Job[Task]) -> None:
        order.append(job.queue)
        await asyncio.sleep(0.02)

    low, high = Queue("a.low", Task, handler, priority=1), Queue("b.high", Task, handler, priority=9)
    here = bed(low, high)
    for name in ("a.low", "b.high"):
        await here.client.enqueue_many(name, [Task(n) for n in range(8)])
    await here.burst(concurrency=1)
    assert len(order) == 16
    assert order.index("b.high") <= 1
    assert sum(name == "b.high" for name in order[:9]) >= 7, order


async def test_urgent_queue_that_is_full_by_its_own_bound_leaves_the_other_slots(bed):
    """`--concurrency 4` is no reason for three idle slots while jobs of another queue wait."""
    gate = asyncio.Event()
    began = set()

    async def handler(job: Job[Task]) -> None:
        began.add((job.queue, job.payload.number))
        await gate.wait()

    async def urgent(job: Job[Task]) -> None:
        await asyncio.sleep(0.02)

    low = Queue("a.low", Task, handler, priority=1, concurrency=2)
    here = bed(low, Queue("b.high", Task, urgent, priority=9, concurrency=1))
    await here.client.enqueue_many("b.high", [Task(n) for n in range(100)])
    async with here.running(concurrency=4) as worker:
        await here.until(lambda: any(one.totals.completed >= 5 for one in worker.consumers))
        await here.client.enqueue_many("a.low", [Task(n) for n in range(2)])
        await here.until(lambda: len(began) == 2 or all(one.idle for one in worker.consumers))
        counts = await here.store.run(calls.counts(here.store.keys("b.high")))
        gate.set()
    assert counts.waiting > 0, "it began only when nothing urgent was left"


async def test_concurrency_bounds_all_queues_together(bed):
    """`--concurrency` is what a small machine needs."""
    running, most = 0, 0

    async def handler(job: Job[Task]) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    here = bed(*[Queue(f"task.q{n}", Task, handler, concurrency=5) for n in range(3)])
    for n in range(3):
        await here.client.enqueue_many(f"task.q{n}", [Task(k) for k in range(12)])
    await here.burst(concurrency=4)
    assert most == 4


async def test_burst_waits_for_retries_and_leaves_what_is_scheduled(bed):
    """A pipeline step that ends too early would be worse than none."""
    runs = []

    async def handler(job: Job[Task]) -> None:
        runs.append(job.payload.number)
        if job.attempt == 1:
            raise ValueError("once more")

    here = bed(Queue("task.do", Task, handler, retry=RetryPolicy(max_attempts=2, base=0.3, cap=0.3)))
    await here.client.enqueue("task.do", Task(1))
    await here.client.enqueue("task.do", Task(2), delay=3600)
    worker = here.worker(burst=True)
    assert await worker.run() == 0
    assert runs == [1, 1]
    assert worker.burst.scheduled == 1


async def test_retry_that_starts_while_a_burst_looks_keeps_it_from_ending(bed):
    """It is in no list that is read: counted as delayed, and gone from there when these are looked at."""

    async def handler(job: Job[Task]) -> None:
        raise ValueError("once more")

    here = bed(Queue("task.do", Task, handler, retry=RetryPolicy(max_attempts=2, base=3600, cap=3600)))
    handle = await here.client.enqueue("task.do", Task(1))
    async with here.running() as worker:
        await here.until(lambda: here.lines("job.retried"))
        consumers = worker.consumers
    run = here.store.run

    async def run_and_promote(call, *more):
        answer = await run(call, *more)
        if call.script == "counts":
            here.store.run = run
            await here.admin.promote("task.do", [handle.id])
        return answer

    here.store.run = run_and_promote
    burst = Burst(consumers, here.store, worker.health)

    assert not await burst._is_over()


async def test_idle_worker_is_woken_at_once(bed):
    """By a token, not by a poll: five seconds would be far too long."""
    got = asyncio.Event()

    async def handler(job: Job[Task]) -> None:
        got.set()

    here = bed(Queue("task.do", Task, handler), Queue("task.other", Task, handler))
    async with here.running():
        await here.until(lambda: here.lines("worker.started"))
        await asyncio.sleep(0.3)
        for _ in range(5):
            got.clear()
            await here.client.enqueue("task.do", Task())
            async with asyncio.timeout(2):
                await got.wait()


async def test_delayed_job_runs_when_it_is_due(bed):
    """An idle consumer waits for the next one that it knows of."""
    got = asyncio.Event()

    async def handler(job: Job[Task]) -> None:
        got.set()

    here = bed(Queue("task.do", Task, handler))
    async with here.running():
        await here.until(lambda: here.lines("worker.started"))
        await here.client.enqueue("task.do", Task(), delay=0.4)
        async with asyncio.timeout(3):
            await got.wait()


async def test_worker_declares_its_queues_for_producers(bed):
    """What producers without the plugin need, and what operators see."""

    async def handler(job: Job[Task]) -> None: ...

    here = bed(Queue("task.do", Task, handler, priority=3, route="task/do"))
    async with here.running():
        await here.until(lambda: here.lines("worker.started"))
        await here.until(here.admin.workers)
        ((report, alive),) = await here.admin.workers()
        assert alive
        assert report.queues == {"task.do": 5}
    declared = (await here.admin.declarations())["task.do"]
    assert (declared.priority, declared.route, declared.plugin) == (3, "task/do", "bed")
    assert await here.admin.workers() == []
