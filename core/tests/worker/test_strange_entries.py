"""What somebody else wrote among our keys: the job it stands for ends, or waits for people, and no other job does."""

import pytest

from jobrunner.clock import SystemClock
from jobrunner.events import JobCompleted, WorkerDutyRestarted, WorkerStoreLost
from jobrunner.model import Keep
from jobrunner.store.keys import PARTS
from jobrunner.worker import maintenance
from jobrunner.worker.maintenance import Maintenance

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


STRANGE = {
    "a lease of nobody": [("HSET", "lease", "odd", "x"), ("ZADD", "active", 1, "odd")],
    "a lease that is no text": [("HSET", "lease", "odd", b"\xff" * 60), ("ZADD", "active", 1, "odd")],
    "an active job without a lease": [("ZADD", "active", 1, "odd")],
    "an active job for ever": [("HSET", "lease", "odd", "x"), ("ZADD", "active", "inf", "odd")],
    "an active id that is no text": [("HSET", "lease", b"\xff", "x"), ("ZADD", "active", 1, b"\xff")],
    "counts that are none": [("HSET", "attempts", "odd", "many"), ("ZADD", "wait", 1, "odd")],
    "counts without end": [("HSET", "attempts", "odd", "9" * 400 + " 1 1"), ("ZADD", "wait", 1, "odd")],
    "counts of a lost worker": [("HSET", "attempts", "odd", "9 9 9"), ("ZADD", "active", 1, "odd")],
    "a record that is none": [("HSET", "jobs", "odd", b"\xff"), ("ZADD", "wait", 1, "odd")],
    "a delayed record that is none": [("HSET", "jobs", "odd", b"[1,"), ("ZADD", "later", 1, "odd")],
    "a priority without end": [
        ("HSET", "jobs", "odd", b"[1," + b"9" * 400 + b',"t1",1,{}]'),
        ("ZADD", "later", 1, "odd"),
    ],
    "a tenant that is none": [
        ("HSET", "jobs", "odd", b'[1,10,"\xff |\n",1,{"tenantId":"t1"}]'),
        ("ZADD", "later", 1, "odd"),
    ],
    "a first place without end": [("ZADD", "wait", "-inf", "odd")],
    "a last place without end": [("ZADD", "wait", "inf", "odd")],
    "a first delay without end": [("ZADD", "later", "-inf", "odd")],
    "a delay without end": [("ZADD", "later", "inf", "odd")],
    "a share without end": [("ZADD", "share", "inf", '10,"t1",'), ("ZADD", "share", "inf", '0,"t1",')],
    "a parked job that is none": [("ZADD", "parked", 1, b"\xff"), ("HSET", "state", b"\xff", b"\xff\n")],
    "a held entry that is none": [("ZADD", "held", 0, "t1 soon odd"), ("HSET", "meta", "holding", 1)],
    "a turn of nobody": [("ZADD", "turns", 1, b"\xff"), ("HSET", "meta", "holding", 1)],
    "a turn without end": [("ZADD", "turns", "-inf", "t1"), ("HSET", "meta", "holding", 1)],
    "a refill of nobody": [("ZADD", "refill", 1, b"\xff"), ("HSET", "meta", "holding", 1)],
    "a tick that is none": [("HSET", "meta", "tick", "soon")],
    "a tick without end": [("HSET", "meta", "tick", "9" * 400)],
    "a grace that is none": [("HSET", "meta", "grace", "soon")],
    "a limit that is none": [("HSET", "meta", "max_active", "many")],
    "a tenant's limit that is none": [("HSET", "meta", "max_active_per_tenant", "many")],
    "a rate that is none": [("HSET", "meta", "rate", "soon")],
    "a rate of nothing": [("HSET", "meta", "rate", "1 0 0")],
    "a tenant's rate that is none": [("HSET", "meta", "rate_per_tenant", "soon")],
    "a weight that is none": [("HSET", "meta", "weights", 1, "weight:t1", "heavy")],
    "a tally that is none": [("HSET", "tally", "waiting|t1", "many", "active|t1", "many")],
    "a bucket without end": [("HSET", "meta", "rate", "1000 1000 1000"), ("ZADD", "rates", "inf", "*")],
    "a unique key of nobody": [("HSET", "meta", "unique", 1), ("HSET", "uniques", "odd", b"\xff")],
    "a minute that is none": [("HSET", "stats", *[part for k in range(1440) for part in (f"m{k}", "x")])],
    "a wish that is none": [("RPUSH", "wake", *[b"\xff"] * 200)],
    "remembered ids that are none": [("ZADD", "seen", 1, b"\xff")],
}
"""What lies in the store -> the commands that put it there."""


@pytest.mark.parametrize("what", STRANGE)
async def test_strange_entry_stops_no_job(at_work, one_queue, store_url, what):
    """The queue that it lies in goes on, with all that a worker does for it."""
    keys = "jr:{task.do}:"
    with raw_client(store_url) as store:
        for command, part, *words in STRANGE[what]:
            store.execute_command(command, keys + part, *words)
        async with at_work(one_queue()) as running:
            for number in range(3):
                await running.enqueue(number=number)
            await running.until(JobCompleted, 3)
            for number in range(3):
                await running.enqueue(number=number, delay=0.05)
            await running.until(JobCompleted, 6)
            maintenance = Maintenance(
                running.worker.consumers,
                running.client.store,
                health=running.worker.health,
                observers=running.worker.observers,
                clock=SystemClock(),
                worker_id="w",
                keyring=running.worker.plugins.keyring,
            )
            (consumer,) = running.worker.consumers
            await maintenance.recover(consumer.queue, consumer)
            await maintenance.tidy(consumer)
            assert running.witness.of(WorkerDutyRestarted) + running.witness.of(WorkerStoreLost) == []
