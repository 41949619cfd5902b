"""What somebody else wrote among our keys: the job it stands for ends, or waits for people, and no other job does."""

import pytest

from jobrunner.events import JobCompleted, WorkerDutyRestarted
from jobrunner.model import Keep
from jobrunner.store.keys import PARTS
from jobrunner.worker import maintenance

from .conftest import Task, raw_client

ODD_IDS = {
    "no UTF-8": b"\xff\xfe",
    "a space": b"a b",
    "a line break": b"a\nb",
    "a zero byte": b"a\x00b",
    "long": b"x" * 100_000,
    "empty": b"",
    "a terminal's": b"\x1b[31m",
}


@pytest.mark.parametrize("odd", ODD_IDS.values(), ids=ODD_IDS)
async def test_odd_id_ends_and_others_go_on(at_work, one_queue, store_url, odd):
    """A batch has many jobs in it; one whose name nobody can read must not take the others along."""
    keys = "jr:{task.do}:"
    with raw_client(store_url) as store:
        async with at_work(one_queue(), concurrency=20) as running:
            store.hset(keys + "jobs", odd, b'[1,10,"t1",1,{"tenantId":"t1","number":1}]')
            await running.client.enqueue_many("task.do", [Task(number=1)] * 5)
            store.zadd(keys + "wait", {odd: 1})
            await running.client.enqueue_many("task.do", [Task(number=1)] * 5)
            await running.until(JobCompleted, 10)
            await running.until_stats(lambda stats: stats.waiting + stats.active + stats.delayed == 0)
            assert running.witness.of(WorkerDutyRestarted) == []
        assert store.zscore(keys + "done", odd) is not None or store.zscore(keys + "dead", odd) is not None
        assert store.hlen(keys + "lease") == 0


@pytest.mark.parametrize("part", PARTS)
async def test_key_of_another_kind_stops_its_queue_only(at_work, one_queue, store_url, part):
    """Whatever somebody wrote there: the other queues are served, and this one again when it is gone."""
    keys = "jr:{task.do}:"
    with raw_client(store_url) as store:
        async with at_work(one_queue(), one_queue(name="task.other")) as running:
            await running.enqueue(number=1)
            await running.until(JobCompleted, 1)
            kept = store.dump(keys + part)
            store.delete(keys + part)
            store.set(keys + part, "not ours")
            for number in range(3):
                await running.enqueue("task.other", number=number)
            await running.until(JobCompleted, 3, queue="task.other")
            store.delete(keys + part)
            if kept is not None:
                store.restore(keys + part, 0, kept)
            await running.enqueue(number=2)
            await running.until(JobCompleted, 2, queue="task.do")
            assert running.witness.of(WorkerDutyRestarted) == []


@pytest.mark.parametrize("part", ["done", "seen"])
async def test_queue_that_cannot_be_trimmed_keeps_no_other_from_it(
    at_work, one_queue, store_url, monkeypatch, part
):
    """They are trimmed one after the other; the memory of all would grow for one broken key."""
    monkeypatch.setattr(maintenance, "TRIM_S", 0.05)
    keep = Keep(jobs=2)
    with raw_client(store_url) as store:
        async with at_work(one_queue(), one_queue(name="task.other", keep_failed=keep)) as running:
            store.delete("jr:{task.do}:" + part)
            store.set("jr:{task.do}:" + part, "not ours")
            store.zadd("jr:{task.other}:dead", {f"old-{number}": number for number in range(50)})
            await running.until_stats(lambda stats: stats.failed <= 2, queue="task.other")
