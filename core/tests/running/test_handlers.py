"""Handlers of every kind: on the loop, in threads, in processes; with steps, progress, lines, and jobs of jobs."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from jobrunner import Discard, Job, LeaseLostError, Queue, RetryPolicy, Snooze, SyncJob
from jobrunner.discovery import find
from jobrunner.plugins import load
from jobrunner.worker.resources import Resources

from .conftest import Bed

QUICK = RetryPolicy(max_attempts=3, base=0.02, cap=0.02)


class Task(msgspec.Struct):
    tenant_id: str = "t1"
    how: str = "well"


async def test_job_knows_itself_and_its_result_is_kept(bed):
    """What the documentation promises of `job`."""
    seen = {}

    async def handler(job: Job[Task]) -> dict[str, int]:
        seen.update(
            id=job.id,
            tenant=job.tenant,
            attempt=job.attempt,
            most=job.max_attempts,
            run=job.run,
            headers=dict(job.headers),
        )
        assert job.enqueued_at.tzinfo is not None
        return {"n": 3}

    here = bed(Queue("task.do", Task, handler, retry=QUICK))
    handle = await here.client.enqueue("task.do", {"tenant_id": "acme"}, headers={"trace": "x"})
    assert await here.burst() == 0

    assert await handle.result(timeout=5) == {"n": 3}
    assert seen == {
        "id": handle.id,
        "tenant": "acme",
        "attempt": 1,
        "most": 3,
        "run": 1,
        "headers": {"trace": "x"},
    }


async def test_history_tells_how_long_a_failed_attempt_ran(bed):
    """Whether it failed at once or after a minute is half of the diagnosis."""

    async def handler(job: Job[Task]) -> None:
        await asyncio.sleep(0.03)
        raise ValueError("broken")

    here = bed(Queue("task.do", Task, handler, retry=QUICK))
    handle = await here.client.enqueue("task.do", {})
    await here.burst()

    view = await here.admin.job("task.do", handle.id)
    assert [one.what for one in view.history] == ["error"] * 3
    assert all(one.duration_ms >= 30 for one in view.history)


async def test_steps_are_done_once_over_all_attempts_and_decoded_each_time(bed):
    """The first time too, so that a second attempt sees nothing new."""
    calls, seen = [], []

    class Receipt(msgspec.Struct):
        number: int

    async def upload(name: str) -> Receipt:
        calls.append(name)
        return Receipt(7)

    async def handler(job: Job[Task]) -> int:
        receipt = await job.step("upload", upload, "a")
        seen.append(receipt)
        if job.attempt < 3:
            raise ValueError("later")
        return receipt.number

    here = bed(Queue("task.do", Task, handler, retry=QUICK))
    handle = await here.client.enqueue("task.do", Task())
    await here.burst()

    assert await handle.result(timeout=5) == 7
    assert calls == ["a"]
    assert seen == [Receipt(7)] * 3
    view = await here.admin.job("task.do", handle.id)
    assert view.steps == {"upload": {"number": 7}}
    assert [one.what for one in view.history] == ["error", "error", "result"]


async def test_step_used_twice_is_an_error_of_the_handler(bed):
    """Else the second would silently get the first one's result."""

    async def handler(job: Job[Task]) -> None:
        await job.step("a", lambda: 1)
        await job.step("a", lambda: 2)

    here = bed(Queue("task.do", Task, handler, retry=RetryPolicy(max_attempts=1)))
    handle = await here.client.enqueue("task.do", Task())
    await here.burst()
    assert "used twice" in (await here.admin.job("task.do", handle.id)).history[-1].message


async def test_job_of_a_job_is_enqueued_once_over_all_attempts_for_its_tenant(bed):
    """Its id is derived, so a retry finds it there."""

    async def parent(job: Job[Task]) -> str:
        child = await job.enqueue("task.child", {"how": "child"})
        if job.attempt == 1:
            raise ValueError("again")
        return child

    class Child(msgspec.Struct):
        how: str

    async def child(job: Job[Child]) -> str:
        return job.tenant

    here = bed(Queue("task.do", Task, parent, retry=QUICK), Queue("task.child", Child, child))
    handle = await here.client.enqueue("task.do", {"tenant_id": "acme"})
    await here.burst()

    child_id = await handle.result(timeout=5)
    assert await here.client.handle("task.child", child_id).result(timeout=5) == "acme"
    assert (await here.admin.stats(["task.child"]))[0].completed_total == 1


async def test_snooze_spends_no_attempt_and_discard_ends_at_once(bed):
    """Two of the wishes, on a real store."""

    async def handler(job: Job[Task]) -> None:
        if job.payload.how == "discard":
            raise Discard("not wanted")
        if job.run < 3:
            raise Snooze(0.02, "busy")
        assert job.attempt == 1

    here = bed(Queue("task.do", Task, handler, retry=QUICK))
    snoozed = await here.client.enqueue("task.do", Task())
    discarded = await here.client.enqueue("task.do", Task(how="discard"))
    await here.burst()

    assert (await here.state(snoozed), await here.state(discarded)) == ("completed", "failed")
    assert (await here.admin.job("task.do", discarded.id)).history[-1].message == "not wanted"


async def test_progress_and_lines_are_kept_with_the_job(bed):
    """What people look at while it runs, and afterwards."""

    async def handler(job: Job[Task]) -> None:
        for number in range(5):
            await job.progress(number / 4, f"{number} of 4")
            job.log.info("step", number=number)

    here = bed(Queue("task.do", Task, handler))
    handle = await here.client.enqueue("task.do", Task())
    await here.burst()

    view = await here.admin.job("task.do", handle.id)
    assert (view.progress, view.progress_message) == (1.0, "4 of 4")
    assert [line["number"] for line in await here.admin.logs("task.do", handle.id)] == [0, 1, 2, 3, 4]


async def test_plain_handlers_run_in_threads_side_by_side(bed):
    """As many as the concurrency, and the loop stays free."""
    barrier = threading.Barrier(3, timeout=10)

    def handler(job: SyncJob[Task]) -> str:
        barrier.wait()
        job.progress(0.5)
        return job.step("thread", lambda: threading.current_thread().name)

    here = bed(Queue("task.do", Task, handler, concurrency=3))
    handles = await here.client.enqueue_many("task.do", [Task() for _ in range(3)])
    await here.burst()
    names = {await handle.result(timeout=5) for handle in handles}
    assert len(names) == 3
    assert all(name.startswith("jobrunner-handler") for name in names)


async def test_resources_are_found_by_type_and_entered_once(bed):
    """A connection pool a worker, not a job."""
    entered = []

    class Pool:
        pass

    @asynccontextmanager
    async def resources():
        entered.append("in")
        yield Pool()
        entered.append("out")

    async def handler(job: Job[Task]) -> bool:
        with pytest.raises(LookupError, match="no resource of type int"):
            job.resource(int)
        return isinstance(job.resource(Pool), Pool)

    here = bed(Queue("task.do", Task, handler), resources=resources)
    handles = await here.client.enqueue_many("task.do", [Task() for _ in range(4)])
    await here.burst()
    assert [await handle.result(timeout=5) for handle in handles] == [True] * 4
    assert entered == ["in", "out"]


async def test_running_job_is_cancelled_with_its_reason(bed):
    """Async handlers are cancelled; plain ones are told and may stop by themselves."""
    reasons = []

    async def on_loop(job: Job[Task]) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            reasons.append(job.cancel_reason)
            raise

    def in_thread(job: SyncJob[Task]) -> None:
        while not job.cancelled:
            time.sleep(0.01)
        reasons.append(job.cancel_reason)
        raise RuntimeError("stopping")

    here = bed(Queue("task.loop", Task, on_loop, lease=2), Queue("task.thread", Task, in_thread, lease=2))
    handles = [await here.client.enqueue(name, Task()) for name in ("task.loop", "task.thread")]
    async with here.running() as worker:
        await here.until(lambda: sum(len(one.running) for one in worker.consumers) == 2)
        for handle in handles:
            await here.admin.cancel(handle.queue, [handle.id], "the customer left")
        await here.until(lambda: len(here.lines("job.cancelled")) == 2)
    assert [await here.state(handle) for handle in handles] == ["cancelled"] * 2
    assert reasons == ["the customer left"] * 2


async def test_handler_past_its_timeout_is_an_error(bed):
    """And is tried again by the policy."""

    async def handler(job: Job[Task]) -> int:
        if job.attempt == 1:
            await asyncio.sleep(30)
        return job.attempt

    here = bed(Queue("task.do", Task, handler, timeout=0.1, retry=QUICK))
    handle = await here.client.enqueue("task.do", Task())
    await here.burst()
    assert await handle.result(timeout=5) == 2
    assert here.lines("job.retried")[0]["error_type"] == "JobTimeoutError"


async def test_payload_of_a_newer_version_is_parked_and_run_by_a_worker_that_knows_it(bed):
    """During a deploy the old workers must neither fail nor lose it."""

    async def handler(job: Job[Task]) -> str:
        return job.payload.how

    new = bed(Queue("task.do", Task, handler, version=2))
    handle = await new.client.enqueue("task.do", Task(how="new"))
    old = bed(Queue("task.do", Task, handler, version=1))
    await old.burst()
    assert await old.state(handle) == "parked"
    await asyncio.gather(_tidied(new), new.burst())
    await new.burst()
    assert await handle.result(timeout=5) == "new"


async def _tidied(here):
    from jobrunner.model import State

    await here.admin.retry_all("task.do", State.PARKED).__anext__()


async def test_older_payload_is_upgraded(bed):
    """Jobs that were enqueued before the deploy still run after it."""

    async def handler(job: Job[Task]) -> str:
        return job.payload.how

    old = bed(Queue("task.do", Task, handler))
    handle = await old.client.enqueue("task.do", Task(how="old"))
    new = bed(
        Queue(
            "task.do",
            Task,
            handler,
            version=3,
            upgrades={1: lambda p: p | {"how": p["how"] + "+1"}, 2: lambda p: p | {"how": p["how"] + "+2"}},
        )
    )
    await new.burst()
    assert await handle.result(timeout=5) == "old+1+2"


async def test_payload_that_does_not_fit_fails_before_any_attempt(bed):
    """A producer by name, without a schema, may send anything."""

    async def handler(job: Job[Task]) -> None:
        raise AssertionError("it must not run")

    here = bed(Queue("task.do", Task, handler))
    handle = await here.client.enqueue("task.do", Task())
    await here.store.link.send(["HSET", "jr:{task.do}:jobs", handle.id, b'[1,0,"t1",1,{"how":5}]'])
    await here.burst()
    entry = (await here.admin.job("task.do", handle.id)).history[-1]
    assert (entry.error_type, "how" in entry.message) == ("PayloadError", True)


async def test_step_after_the_lease_is_lost_is_refused(bed):
    """A zombie learns of it at its next step at the latest."""
    errors = []

    async def handler(job: Job[Task]) -> None:
        await here.store.link.send(["HDEL", "jr:{task.do}:lease", job.id])
        try:
            await job.step("late", lambda: 1)
        except LeaseLostError as error:
            errors.append(error)
            raise

    here = bed(Queue("task.do", Task, handler))
    handle = await here.client.enqueue("task.do", Task())
    async with here.running():
        await here.until(lambda: here.lines("job.lease_lost"))
    assert len(errors) == 1
    await here.store.link.send(["ZREM", "jr:{task.do}:active", handle.id])


# ---- processes ---------------------------------------------------------------------------------------------------

FILE = str(Path(__file__).with_name("queues_for_children.py"))


@pytest.fixture
async def children(shared_server):
    server = shared_server("valkey")
    server.client().flushall()
    here = Bed(server.url, [])
    here.plugins = load([FILE], here.environ)
    here.client = type(here.client)(here.store, here.plugins)
    here.admin = type(here.admin)(here.store, here.plugins)
    assert find(FILE).name == "queues-for-children"
    yield here
    await here.close()


async def test_process_handler_has_everything_that_others_have(children):
    """Steps, progress, lines and jobs of jobs go over the pipe."""
    handle = await children.client.enqueue("child.crunch", {"how": "more"})
    retried = await children.client.enqueue("child.crunch", {"how": "fail"})
    await children.burst(plugin_names=(FILE,))

    result = await handle.result(timeout=5)
    again = await retried.result(timeout=5)
    assert again["attempt"] == 2
    assert await children.client.handle("child.crunch", result["child"]).result(timeout=5)
    view = await children.admin.job("child.crunch", handle.id)
    assert (view.steps, view.progress_message) == ({"once": result["pid"]}, "half")
    assert (await children.admin.logs("child.crunch", handle.id))[0]["pid"] == result["pid"]


async def test_resources_are_told_whose_they_are(children):
    """So that what a worker needs once, such as a listener, is not made by each of its children too."""
    handle = await children.client.enqueue("child.crunch", {"how": "where"})
    await children.burst(plugin_names=(FILE,))
    assert await handle.result(timeout=5) == {"child": True, "worker": []}
    (plugin, _), *_ = children.plugins.implementing("jobrunner_resources")
    async with Resources(children.plugins) as resources:
        assert not next(iter(resources._found[plugin.name])).is_child


async def test_process_that_dies_counts_as_a_crash(children):
    """Two of them are one too many here."""
    handle = await children.client.enqueue("child.crunch", {"how": "die"})
    await children.burst(plugin_names=(FILE,))
    view = await children.admin.job("child.crunch", handle.id)
    assert (view.state, view.crashes) == ("failed", 1)
    assert [one.what for one in view.history] == ["crash", "buried"]


async def test_process_handler_that_is_cancelled_may_stop_by_itself(children):
    """It sees the reason, and the child is used again."""
    handle = await children.client.enqueue("child.crunch", {"how": "wait"})
    async with children.running(plugin_names=(FILE,)) as worker:
        await children.until(lambda: any(one.running for one in worker.consumers))
        await children.admin.cancel("child.crunch", [handle.id], "enough")
        await children.until(lambda: children.lines("job.cancelled"))
    assert await children.state(handle) == "cancelled"


@pytest.mark.long
async def test_process_past_its_timeout_is_killed(children):
    """Nothing else stops it."""
    handle = await children.client.enqueue("child.hasty", {"how": "hang"})
    await children.burst(plugin_names=(FILE,))
    view = await children.admin.job("child.hasty", handle.id)
    assert view.state == "failed"
    assert {one.error_type for one in view.history} == {"JobTimeoutError"}
