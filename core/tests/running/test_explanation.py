"""Why a job stands where it stands: every state and hindrance, as a worker on a real server leaves it."""

import asyncio

import msgspec
import pytest

from jobrunner import Discard, Keep, Queue, RateLimit, RetryPolicy, Snooze, State
from jobrunner.errors import InvalidNameError, UnknownQueueError
from jobrunner.explanation import Explanation, explain
from jobrunner.limits import refill_ms
from jobrunner.store import calls


class Order(msgspec.Struct, rename="camel"):
    tenant_id: str
    number: int = 0
    fate: str = "done"


async def ship(job):
    match job.payload.fate:
        case "broken":
            raise ValueError(f"order {job.payload.number}\nis broken")
        case "unwanted":
            raise Discard("nobody wants it")
        case "later":
            raise Snooze(600, "the shop is closed")
        case "long":
            await job.progress(0.25, "1 of 4")
            await asyncio.sleep(60)


def queue(**more):
    more = {"retry": RetryPolicy(max_attempts=3, base=500, cap=500), "concurrency": 2, "lease": 5} | more
    return Queue("orders.ship", Order, ship, **more)


def order(**more):
    return Order(**({"tenant_id": "acme"} | more))


async def told(here, handle):
    """The explanation of a job, after it went the way of every `--json`."""
    found = await explain(here.admin, "orders.ship", handle if isinstance(handle, str) else handle.id)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found
    return found


def codes(found):
    return [reason.code for reason in found.reasons]


async def test_job_in_line_is_told_its_place_and_who_is_missing(bed):
    """The first question of support: when is it my customer's turn?"""
    here = bed(queue())
    await here.client.enqueue("orders.ship", order(number=1), priority=90)
    await here.client.enqueue("orders.ship", order(number=2))
    last = await here.client.enqueue("orders.ship", order(number=3))

    found = await told(here, last)

    assert (found.state, found.ahead, found.needs_somebody) == ("waiting", 2, True)
    assert codes(found) == ["in_line", "no_worker"]
    assert "number 3 in line of 3 jobs that wait" in found.reasons[0].text
    assert "1 of those before it has a higher priority" in found.reasons[0].text
    assert "jobrunner run --plugin bed" in found.reasons[1].remedy


async def test_everything_that_keeps_a_job_from_starting_is_told_at_once(bed):
    """Whoever mends one cause must not find the next an hour later."""
    here = bed(queue(max_active=1))
    handle = await here.client.enqueue("orders.ship", order(tenant_id="a|b"))
    await here.admin.pause("orders.ship")
    await here.admin.pause("orders.ship", "a|b")

    found = await told(here, handle)
    assert codes(found) == ["in_line", "queue_paused", "tenant_paused", "no_worker"]
    assert found.reasons[2].remedy.startswith("`jobrunner resume orders.ship --tenant 'a|b'`"), "for a shell"

    await here.admin.resume("orders.ship")
    await here.admin.resume("orders.ship", "a|b")
    assert codes(await told(here, handle)) == ["in_line", "no_worker"]


async def test_running_job_names_its_worker_and_the_one_behind_it_names_the_limit(bed):
    """A queue at its limit looks as if it stood still."""
    here = bed(queue(max_active=1))
    first = await here.client.enqueue("orders.ship", order(fate="long"), unique="once")
    async with here.running() as worker:
        await here.until(lambda: here.lines("job.started"))
        await here.until(here.admin.workers)
        second = await here.client.enqueue("orders.ship", order(number=2))
        await here.admin.cancel("orders.ship", [first.id], "the  customer\nleft")
        running, behind = await told(here, first), await told(here, second)

    assert codes(running)[0] == "running"
    assert f"it runs on {worker.id}" in running.reasons[0].text
    assert 0 < running.reasons[0].at - running.now <= 5000
    assert "asked_to_stop" in codes(running)
    assert codes(running)[-1] == "unique_key"
    assert "once" not in running.reasons[-1].text, "a key may be a secret"
    assert not running.needs_somebody
    assert "queue_at_limit" in codes(behind)
    assert not behind.needs_somebody


async def test_job_behind_full_slots_and_one_that_nothing_keeps(bed):
    """`Add workers` and `wait a moment` are two different answers."""
    here = bed(queue(concurrency=1))
    async with here.running():
        await here.until(here.admin.workers)
        await here.client.enqueue("orders.ship", order(fate="long"))
        await here.until(lambda: here.lines("job.started"))
        second = await here.client.enqueue("orders.ship", order(number=2))
        full = await told(here, second)
        await here.store.run(  # as if another worker with room had just come
            calls.command(*await _report_of_another(here, concurrency=4))
        )
        free = await told(here, second)

    assert codes(full) == ["in_line", "slots_taken"]
    assert "the one slot for it is taken" in full.reasons[1].text
    assert codes(free) == ["in_line", "free"]
    assert free.reasons[1].remedy == ""


async def _report_of_another(here, *, concurrency):
    ((report, _),) = await here.admin.workers()
    other = msgspec.structs.replace(report, id="other-1", queues={"orders.ship": concurrency})
    return "HSET", here.store.fleet.workers, other.id, msgspec.json.encode(other)


async def test_lease_of_a_silent_worker_says_who_takes_it_over(bed):
    """A killed worker's job is safe, and whoever looks should read that instead of retrying it by hand."""
    here = bed(queue())
    handle = await here.client.enqueue("orders.ship", order(fate="long"))
    async with here.running():
        await here.until(lambda: here.lines("job.started"))
        await here.until(here.admin.workers)
        await here.store.run(calls.command("DEL", here.store.fleet.workers))
        found = await told(here, handle)

    assert codes(found) == ["worker_silent", "no_worker"]
    assert "has not reported lately; its lease ends in" in found.reasons[0].text
    assert found.needs_somebody


@pytest.mark.parametrize(
    ("fate", "code", "words"),
    [
        ("broken", "backoff", "attempt 1 of 3 ended in ValueError: order 7 is broken, and the backoff"),
        ("later", "snoozed", "its handler put it off by 10 min: the shop is closed"),
    ],
)
async def test_delayed_job_tells_until_when_and_after_what(bed, fate, code, words):
    """Backoff and a wish look alike in a list."""
    here = bed(queue())
    handle = await here.client.enqueue("orders.ship", order(number=7, fate=fate))
    async with here.running():
        await here.until(lambda: _is(here, handle, "delayed"))
        found = await told(here, handle)

    assert found.state == "delayed"
    assert codes(found)[0] == code
    assert words in found.reasons[0].text
    assert found.reasons[0].at > found.now
    assert "jobs promote" in found.reasons[0].remedy


async def _is(here, handle, state):
    return await here.state(handle) == state


async def test_job_for_later_says_whose_wish_that_is(bed):
    """Nothing went wrong with it."""
    here = bed(queue())
    handle = await here.client.enqueue("orders.ship", order(), delay=3600)
    found = await told(here, handle)
    assert codes(found) == ["scheduled", "no_worker"]
    assert "its producer asked" in found.reasons[0].text


async def test_lost_worker_is_told_as_a_crash_and_not_as_an_error(bed):
    """A crash costs no attempt, so the count alone would puzzle."""
    here = bed(queue(lease=1))
    handle = await here.client.enqueue("orders.ship", order())
    keys = here.store.keys("orders.ship")
    request = calls.Exchange(consumer="gone-1", serial=1, nonce="n" * 22, want=1, lease_ms=1)
    await here.store.run(calls.exchange(keys, request))
    recover = calls.recover(keys, lease_ms=0, limit=10, max_crashes=3, seed=1, delays_ms=[60_000])
    await here.until(lambda: _recovered(here, recover))
    found = await told(here, handle)
    assert codes(found) == ["crash", "no_worker"]
    assert "its worker gone-1 was lost while it ran" in found.reasons[0].text


async def _recovered(here, call):
    return (await here.store.run(call)).total


async def test_ended_jobs_say_how_and_what_brings_them_back(bed):
    """The answer holds the command to copy."""
    here = bed(queue(retry=RetryPolicy(max_attempts=1)))
    handles = [
        await here.client.enqueue("orders.ship", order(fate=fate)) for fate in ("broken", "unwanted", "done")
    ]
    stopped = await here.client.enqueue("orders.ship", order(), delay=60)
    await here.admin.cancel("orders.ship", [stopped.id], "enough")
    await here.burst()

    broken, unwanted, done = [await told(here, handle) for handle in handles]
    cancelled = await told(here, stopped)

    assert "attempt 1 of 1 ended in ValueError: order 0 is broken" in broken.reasons[0].text
    assert "ended in Discard: nobody wants it" in unwanted.reasons[0].text
    assert f"jobs retry orders.ship {handles[0].id}" in broken.reasons[0].remedy
    assert (done.state, done.reasons[0].remedy, done.needs_somebody) == ("completed", "", False)
    assert "cancelled" in cancelled.reasons[0].text
    assert cancelled.reasons[0].text.endswith(": enough")
    assert broken.needs_somebody


async def test_job_that_is_gone_is_told_from_one_that_never_was(bed):
    """`It ran, and was trimmed` and `you have the wrong id` send people to different places."""
    here = bed(queue(keep_completed=Keep(jobs=0)))
    handle = await here.client.enqueue("orders.ship", order(), job_id="post-9")
    await here.burst()
    await here.until(lambda: _trimmed(here))

    gone, never = await told(here, handle), await told(here, "post-10")

    assert (gone.state, codes(gone)) == ("forgotten", ["trimmed"])
    assert gone.reasons[0].at > gone.now
    assert (never.state, codes(never)) == ("unknown", ["unknown"])


async def _trimmed(here):
    call = calls.trim(here.store.keys("orders.ship"), State.COMPLETED, keep=0, keep_ms=-1, limit=10)
    await here.store.run(call)
    return (await here.admin.stats(["orders.ship"]))[0].completed == 0


async def test_queue_or_id_that_cannot_be_is_an_error(bed):
    """A typing mistake in the queue's name is no answer about a job."""
    here = bed(queue())
    with pytest.raises(UnknownQueueError):
        await explain(here.admin, "orders.shop", "a")
    with pytest.raises(InvalidNameError):
        await explain(here.admin, "orders.ship", "a b")


async def test_record_in_no_list_points_to_the_doctor(bed):
    """Nothing else would ever move it."""
    here = bed(queue())
    handle = await here.client.enqueue("orders.ship", order())
    await here.store.run(calls.command("ZREM", here.store.keys("orders.ship")["wait"], handle.id))
    found = await told(here, handle)
    assert (found.state, found.needs_somebody) == ("lost", True)
    assert "doctor --fix" in found.reasons[0].remedy
    await here.admin.remove("orders.ship", [handle.id])


async def test_held_job_tells_how_many_of_its_tenant_are_before_it(bed):
    """Held jobs stand in a line of their own."""
    here = bed(queue())
    await here.admin.pause("orders.ship", "acme")
    handles = [await here.client.enqueue("orders.ship", order(number=number)) for number in range(3)]
    async with here.running():
        await here.until(lambda: _is(here, handles[-1], "parked"))
        first, last = await told(here, handles[0]), await told(here, handles[-1])
    assert codes(last) == ["tenant_paused"]
    assert "behind 2 jobs of its own" in last.reasons[0].text
    assert "behind" not in first.reasons[0].text


async def test_rate_that_is_used_up_tells_when_the_next_may_start(bed):
    """A queue under a rate looks as if it stood still."""
    here = bed(queue(rate_limit=RateLimit(jobs=1, per_seconds=3600)))
    handles = [await here.client.enqueue("orders.ship", order(number=number)) for number in range(2)]
    async with here.running():
        await here.until(lambda: here.lines("job.completed"))
        await here.until(here.admin.workers)
        found = await told(here, handles[1])
    assert codes(found) == ["in_line", "queue_rate"]
    assert "used up its rate of 1 job in 3600 s" in found.reasons[1].text
    assert 3_000_000 < found.reasons[1].at - found.now <= 3_600_000


@pytest.mark.parametrize(
    ("jobs", "burst", "full_ms", "wait_ms"),
    [
        (10, None, 0, 0),  # it has been quiet
        (10, None, 1_000_000 + 9000, 0),  # nine of ten are used
        (10, None, 1_000_000 + 10_000, 1000),  # all ten, and a step is a second
        (10, 1, 1_000_000 + 1000, 1000),
        (10, 1, 1_000_000 + 250, 250),
        (10, 1, 9_000_000, 1000),  # nonsense waits no longer than a bucket's depth
    ],
)
def test_bucket_is_read_as_the_scripts_read_it(jobs, burst, full_ms, wait_ms):
    """Otherwise people would be told another moment than workers keep to."""
    rate = RateLimit(jobs=jobs, per_seconds=jobs, burst=burst)
    assert refill_ms(rate, full_ms=full_ms, now_ms=1_000_000) == wait_ms
