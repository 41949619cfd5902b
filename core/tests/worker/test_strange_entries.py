"""What somebody else wrote among our keys: the job it stands for ends, or waits for people, and no other job does."""

import pytest

from jobrunner.events import JobCompleted, WorkerDutyRestarted

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
