"""The auditor and the repair: each damage is planted, named, and gone afterwards, and nothing else has changed."""

import asyncio

import msgspec
import pytest

from jobrunner import Discard, Job, Queue
from jobrunner.audit import audit, findings
from jobrunner.names import new_nonce
from jobrunner.repair import repair
from jobrunner.store import calls
from jobrunner.store.calls import Exchange
from jobrunner.store.keys import LISTS

HASHES = ("jobs", "lease", "attempts", "state", "steps", "progress", "logs", "tally")


class Task(msgspec.Struct, rename="camel"):
    tenant_id: str
    how: str = "well"


async def do(job: Job[Task]) -> str:
    await job.step("one", one)
    job.log.info("done")
    if job.payload.how == "fail":
        raise Discard("no")
    return "yes"


async def one() -> int:
    return 1


class Clinic:
    """A queue with jobs in every state, and what is needed to damage it."""

    def __init__(self, bed):
        self.bed = bed
        self.store = bed.store
        self.keys = bed.store.keys("task.do")

    async def prepare(self):
        for name in ("done", "fail"):
            task = Task(tenant_id="t1", how="fail" if name == "fail" else "well")
            await self.bed.client.enqueue("task.do", task, job_id=name)
        assert await self.bed.burst() == 0
        for name, tenant in (("run", "t1"), ("w1", "t1"), ("w2", "t2"), ("stop", "t2")):
            await self.bed.client.enqueue("task.do", Task(tenant_id=tenant), job_id=name)
            if name == "run":
                await self.reserve("gone-worker")
        await self.bed.client.enqueue("task.do", Task(tenant_id="t2"), job_id="later", delay=3600)
        await self.bed.admin.cancel("task.do", ["stop"])

    async def reserve(self, worker):
        request = Exchange(consumer=worker, serial=1, nonce=new_nonce(), want=1, lease_ms=3_600_000)
        await self.store.run(calls.exchange(self.keys, request))

    async def redis(self, command, part, *words):
        return await self.store.run(calls.command(command, self.keys[part], *words))

    async def state(self, *, scores=True):
        """The whole queue."""
        found = {}
        for part in LISTS.values():
            flat = await self.redis("ZRANGE", part, 0, -1, "WITHSCORES")
            found[part] = sorted(zip(flat[::2], flat[1::2] if scores else [b""] * len(flat), strict=False))
        for part in HASHES:
            flat = await self.redis("HGETALL", part)
            found[part] = sorted(zip(flat[::2], flat[1::2], strict=True))
        return found

    async def fix(self):
        return [finding async for finding in repair(self.bed.admin, "task.do")]

    async def wrong(self):
        found = findings(await audit(self.bed.admin, "task.do"))
        return [one.text for one in found if one.level != "ok"]


@pytest.fixture
async def clinic(bed):
    made = Clinic(bed(Queue("task.do", Task, do, lease=1)))
    await made.prepare()
    return made


DAMAGES = {
    "an entry without a record": (("ZADD", "wait", 5, "ghost"), "entries stand in a list", "had no record"),
    "an ended entry without a record": (("ZADD", "done", 5, "ghost"), "entries stand", "had no record"),
    "a lease without a record": (("HSET", "lease", "ghost", "n t w 1"), "entries stand", "had no record"),
    "a lease of a job that waits": (("HSET", "lease", "w1", "n t1 w 1"), "not active", "leases were of jobs"),
    "a job that waits and is done": (("ZADD", "wait", 5, "done"), "in two lists", "were in several lists"),
    "a job that runs and waits": (("ZADD", "wait", 5, "run"), "in two lists", "were in several lists"),
    "steps of a job that is gone": (("HSET", "steps", "ghost", "[1]"), "steps, logs", "had no record"),
    "logs of a job that is gone": (("HSET", "logs", "ghost", "{}"), "steps, logs", "had no record"),
    "counts of a job that is gone": (("HSET", "attempts", "ghost", "1 0 0"), "steps, logs", "had no record"),
    "a journal of a job that is gone": (("HSET", "state", "ghost", "1 {}"), "steps, logs", "had no record"),
    "progress of a job that is gone": (("HSET", "progress", "ghost", "{}"), "steps, logs", "had no record"),
    "a tally that is too high": (
        ("HINCRBY", "tally", "waiting|t1", 3),
        "counts by tenant",
        "counts by tenant",
    ),
    "a tally that is missing": (("HDEL", "tally", "completed|t1"), "counts by tenant", "counts by tenant"),
    "a tally of nobody": (("HSET", "tally", "failed|nobody", 2), "counts by tenant", "counts by tenant"),
}
"""What is planted -> the command, what the doctor says of it, what the repair says."""

MISPLACED = {
    "a waiting job in no list": (("ZREM", "wait", "w1"), "in no list", "in line again"),
    "a delayed job in no list": (("ZREM", "later", "later"), "in no list", "in line again"),
    "a completed job in no list": (
        ("ZREM", "done", "done"),
        "in no list",
        "have a result, and are completed",
    ),
    "a running job in no list": (("ZREM", "active", "run"), "in no list", "are active again"),
    "a running job without a lease": (("HDEL", "lease", "run"), "nobody has their lease", "without a lease"),
}
"""The same where the job's place in its list cannot be what it was."""


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_named_and_repaired_and_the_rest_is_as_it_was(clinic, damage):
    """Compared whole: a repair that touches what was right is worse than the damage."""
    command, named, told = DAMAGES[damage]
    healthy = await clinic.state()
    await clinic.redis(*command)
    assert await clinic.state() != healthy
    before = await clinic.wrong()

    done = await clinic.fix()

    assert any(named in text for text in before), before
    texts = [one.text for one in done if one.level == "fixed"]
    assert any(told in text for text in texts), texts
    gone = await clinic.state()
    assert gone | {"active": []} == healthy | {"active": []}
    assert [name for name, _ in gone["active"]] == [b"run"]
    assert not [text for text in await clinic.wrong() if "leased by workers" not in text]


@pytest.mark.parametrize("damage", MISPLACED)
async def test_job_that_lost_its_place_gets_one(clinic, damage):
    """It would never run, or never be counted; where it stood in its list nobody knows any more."""
    command, named, told = MISPLACED[damage]
    healthy = await clinic.state(scores=False)
    await clinic.redis(*command)
    before = await clinic.wrong()

    done = await clinic.fix()

    assert any(named in text for text in before), before
    assert any(told in one.text for one in done if one.level == "fixed"), done
    after = await clinic.state(scores=False)
    if "delayed" in damage:  # when it was due is in no other place
        assert (b"later", b"") in after["wait"]
        assert dict(after["tally"])[b"waiting|t2"] == b"2"
    elif "without a lease" in damage:
        assert {**after, "lease": healthy["lease"]} == healthy
        assert after["lease"] == []
    else:
        assert after == healthy
    assert not [
        text
        for text in await clinic.wrong()
        if "leased by workers" not in text and "nobody has their lease" not in text
    ]


async def test_lease_of_a_worker_that_is_gone_ends_now_and_its_job_runs(clinic):
    """An hour's lease of a machine that burned down need not be waited for."""
    (score,) = [score for name, score in (await clinic.state())["active"] if name == b"run"]
    done = await clinic.fix()
    ((name, ended),) = (await clinic.state())["active"]

    assert any("workers that are gone were ended" in one.text for one in done)
    assert name == b"run"
    assert float(ended) < float(score) - 3_000_000
    async with clinic.bed.running():
        await clinic.bed.until(lambda: _ran(clinic), timeout_s=60)


async def _ran(clinic):
    return (await clinic.bed.admin.job("task.do", "run")).state in ("completed", "delayed")


async def test_lease_that_another_worker_has_by_now_is_left_alone(clinic):
    """What was seen is compared in the script: a job that moved meanwhile is nobody's to take away."""
    before = await clinic.state()
    answer = await clinic.store.run(calls.repair(clinic.keys, ["w1"], [("run", b"what was seen")]))
    assert (answer.ended, answer.verdicts) == (0, ["right"])
    assert await clinic.state() == before


async def test_repair_beside_workers_takes_nothing_from_them(bed):
    """Jobs that move look odd for a moment; a repair in the middle of it must do nothing."""
    scene = bed(Queue("task.do", Task, do, concurrency=5))
    clinic = Clinic(scene)
    async with scene.running():
        handles = await scene.client.enqueue_many(
            "task.do", [Task(tenant_id=f"t{k % 5}") for k in range(1000)]
        )
        fixed = []
        while not await _ended(scene, handles):
            fixed += [one.text for one in await clinic.fix() if one.level == "fixed"]
            await asyncio.sleep(0)
    assert fixed == []
    found = await audit(scene.admin, "task.do")
    assert (found.misplaced, found.tally, found.moving) == ([], {}, False)
    assert dict((await clinic.state())["tally"]) == {b"completed|t%d" % k: b"200" for k in range(5)}


async def _ended(scene, handles):
    (stats,) = await scene.admin.stats(["task.do"])
    return stats.completed == len(handles)


async def test_large_damage_is_repaired_in_steps(clinic):
    """A restore from an old snapshot damages thousands of jobs at once."""
    ghosts = [part for k in range(1500) for part in (k, f"ghost-{k}")]
    healthy = await clinic.state()
    await clinic.redis("ZADD", "done", *ghosts)
    tally = [part for k in range(700) for part in (f"waiting|x{k}", k + 1)]
    await clinic.redis("HSET", "tally", *tally)

    done = [one.text for one in await clinic.fix() if one.level == "fixed"]

    assert any("no record, and what was left of them is gone: 1,500 (" in text for text in done), done
    assert any("the counts by tenant were off: 700 (" in text for text in done), done
    after = await clinic.state()
    assert after | {"active": healthy["active"]} == healthy
    assert [one async for one in repair(clinic.bed.admin, "task.do") if one.level == "fixed"] == []


async def test_key_of_a_job_that_is_gone_is_free_again(bed):
    """What nobody can finish would keep everybody else out."""
    here = bed(Queue("task.do", Task, do, lease=1))
    clinic = Clinic(here)
    first = await here.client.enqueue("task.do", Task(tenant_id="t1"), unique="k")
    await clinic.redis("HDEL", "jobs", first.id)
    await clinic.fix()

    assert await clinic.wrong() == []
    assert await clinic.redis("HLEN", "uniques") == await clinic.redis("HLEN", "unique") == 0
    assert (await here.client.enqueue("task.do", Task(tenant_id="t1"), unique="k")).created


@pytest.mark.parametrize(
    ("part", "what"), [("held", "held for a tenant"), ("parked", "in no list"), ("wait", "in two lists")]
)
async def test_held_job_that_is_not_whole_runs_once_its_tenant_may(bed, part, what):
    """Else it would be held for ever, or run beside itself."""
    here = bed(Queue("task.do", Task, do, lease=1))
    clinic = Clinic(here)
    await here.admin.pause("task.do", "t1")
    handle = await here.client.enqueue("task.do", Task(tenant_id="t1"))
    entry = (await clinic.redis("ZRANGE", "held", 0, 0))[0]
    match part:
        case "held":
            await clinic.redis("ZREM", "held", entry)
        case "parked":
            await clinic.redis("ZREM", "parked", handle.id)
        case "wait":
            await clinic.redis("ZADD", "wait", 5, handle.id)
    wrong = await clinic.wrong()
    await clinic.fix()

    assert any(what in text for text in wrong)
    assert await clinic.wrong() == []
    await here.admin.resume("task.do", "t1")
    assert await here.burst() == 0
    assert await handle.result(timeout=5) == "yes"
    assert await clinic.redis("ZCARD", "held") == 0
