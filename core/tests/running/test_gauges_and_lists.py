"""What people see of many queues and many jobs: numbers in a constant number of round trips, lists by tenant and cause."""

import msgspec
import pytest

from jobrunner import Discard, Queue, RetryPolicy
from jobrunner.causes import CauseBook
from jobrunner.errors import InvalidNameError
from jobrunner.gauges import COUNTERS
from jobrunner.listing import Filter
from jobrunner.model import State
from jobrunner.store import calls


class Order(msgspec.Struct, rename="camel"):
    tenant_id: str
    number: int = 0
    fate: str = "done"


async def ship(job):
    match job.payload.fate:
        case "broken":
            raise ValueError(f"order {job.payload.number} is broken")
        case "unwanted":
            raise Discard("nobody wants it")
    return job.payload.number


def order_queue(name="orders.ship"):
    return Queue(name, Order, ship, retry=RetryPolicy(max_attempts=1), concurrency=10)


@pytest.fixture
async def here(bed):
    return bed(order_queue(), order_queue("orders.pack"))


def orders(number, tenant, **more):
    return [Order(tenant_id=tenant, number=at, **more) for at in range(number)]


async def walk(listing, wanted, state=State.WAITING, limit=50):
    """Every page to the end: the jobs, and the pages."""
    jobs, after, pages = [], "", 0
    while True:
        page = await listing.page("orders.ship", state, limit=limit, after=after, wanted=wanted)
        jobs += page.jobs
        pages += 1
        if not page.next:
            return jobs, pages
        after = page.next


async def test_numbers_of_some_tenants_leave_the_others_out(here):
    """Who may see one tenant must not learn how busy the others are, not even from the queue's all-time counters."""
    await here.client.enqueue_many("orders.ship", orders(3, "acme"))
    await here.client.enqueue_many("orders.ship", orders(5, "globex"))
    await here.client.enqueue_many("orders.pack", orders(2, "globex"))

    pack, ship_ = await here.admin.stats(tenants=["acme"])
    assert (ship_.waiting, ship_.total, pack.total) == (3, 3, 0)
    assert (ship_.completed_total, ship_.failed_total, ship_.oldest_waiting_ms) == (None, None, None)
    (both,) = await here.admin.stats(["orders.ship"], tenants=["acme", "globex"])
    assert both.waiting == 8
    assert (await here.admin.health(tenants=["nobody"])).total_jobs == 0


async def test_round_trips_do_not_grow_with_queues(here, monkeypatch):
    """A dashboard of a hundred queues must not wait for the store a hundred times."""
    trips = []
    send, send_many = here.store.link.send, here.store.link.send_many
    monkeypatch.setattr(here.store.link, "send", lambda *a, **k: trips.append(1) or send(*a, **k))
    monkeypatch.setattr(here.store.link, "send_many", lambda *a, **k: trips.append(1) or send_many(*a, **k))

    await here.admin.stats()
    trips.clear()
    await here.admin.stats(["orders.ship"])
    one = len(trips)
    trips.clear()
    await here.admin.stats(["orders.ship", "orders.pack"])
    assert len(trips) == one


async def test_scripts_that_the_server_forgot_are_sent_again_in_a_batch(here):
    """A restarted server knows no script, and whoever looks must not be told of it."""
    await here.client.enqueue_many("orders.ship", orders(3, "acme"))
    await here.admin.stats()
    from jobrunner.store import calls

    await here.store.run(calls.command("SCRIPT", "FLUSH"))
    assert [one.waiting for one in await here.admin.stats()] == [0, 3]


async def test_page_of_a_tenant_is_bounded_and_misses_nothing(here):
    """One tenant's two jobs behind a thousand of another are found, a bounded look at a time."""
    await here.client.enqueue_many("orders.ship", orders(1000, "flood"))
    await here.client.enqueue_many("orders.ship", orders(5, "acme"))
    await here.admin.pause("orders.ship")

    jobs, pages = await walk(here.admin.listing, Filter(tenants=frozenset({"acme"})), limit=2)
    assert {job.tenant for job in jobs} == {"acme"}
    assert len({job.id for job in jobs}) == len(jobs) == 5
    assert pages >= 3
    page = await here.admin.listing.page("orders.ship", State.WAITING, wanted=Filter(tenants=frozenset()))
    assert (page.jobs, page.looked_at) == ([], 500)

    everything, _ = await walk(here.admin.listing, None, limit=300)
    assert len({job.id for job in everything}) == 1005


async def test_failures_are_told_by_their_causes(here):
    """A thousand failures have a few causes, and a person can only look at those."""
    await here.client.enqueue_many("orders.ship", orders(7, "acme", fate="broken"))
    await here.client.enqueue_many("orders.ship", orders(2, "globex", fate="unwanted"))
    await here.burst()

    found = await here.admin.book.causes("orders.ship")
    assert [(cause.error_type, cause.jobs) for cause in found.causes] == [("ValueError", 7), ("Discard", 2)]
    assert found.causes[1].message == "nobody wants it"
    assert (found.looked_at, found.total) == (9, 9)

    theirs = await here.admin.book.causes("orders.ship", tenants=["globex"])
    assert ([cause.jobs for cause in theirs.causes], theirs.total, theirs.looked_at) == ([2], 2, 2)

    step = await here.admin.listing.step(
        "orders.ship", State.FAILED, Filter(cause=found.causes[1].fingerprint)
    )
    assert (len(step.ids), step.next, step.looked_at) == (2, "", 9)
    assert set((await here.admin.listing.tenants("orders.ship", step.ids)).values()) == {"globex"}


async def test_tenants_are_told_by_how_many_jobs_they_have(here):
    """Who floods a queue is seen at once, and a queue with thousands of tenants is not read whole."""
    await here.client.enqueue_many("orders.ship", orders(3, "acme"))
    await here.client.enqueue_many("orders.ship", orders(9, "flood"))
    await here.client.enqueue_many("orders.ship", [Order(tenant_id=f"small{at}") for at in range(300)])

    told = await here.admin.gauges.tenants("orders.ship", most=2)
    assert [(one.tenant, one.jobs["waiting"]) for one in told] == [("flood", 9), ("acme", 3)]
    (acme,) = await here.admin.gauges.tenants("orders.ship", only=["acme"])
    assert (acme.tenant, sum(acme.jobs.values())) == ("acme", 3)
    assert await here.admin.gauges.tenants("orders.pack") == []


async def test_run_tells_when_it_began(bed):
    """How long a job has been running is seen while it runs, and not only afterwards."""
    seen = []

    async def look(job):
        seen.append(await here.admin.job("orders.look", job.id))

    here = bed(Queue("orders.look", Order, look))
    await here.client.enqueue_many("orders.look", orders(1, "acme"))
    await here.burst()
    (running,) = seen
    assert running.enqueued_at <= running.started_at < running.lease_until
    assert (await here.admin.job("orders.look", running.id)).started_at is None


async def test_totals_minutes_and_news_count_what_happened(here):
    """Charts and metrics come from what workers keep in the store, since who shows them is another process."""
    before = await here.admin.gauges.news(["orders.ship", "orders.pack"])
    await here.client.enqueue_many("orders.ship", orders(4, "acme"))
    await here.client.enqueue_many("orders.ship", orders(1, "acme", fate="broken"))
    await here.burst()

    totals = (await here.admin.gauges.totals(["orders.ship"]))["orders.ship"]
    assert set(totals.counters) == set(COUNTERS)
    assert (totals.counters["enqueued"], totals.counters["completed"], totals.counters["failed"]) == (5, 4, 1)
    assert sum(count for bound, count in totals.wait.items() if bound != "sum") == 5

    minutes = (await here.admin.gauges.minutes(["orders.ship"], 3))["orders.ship"]
    assert len(minutes) == 3
    assert [sum(getattr(one, what) for one in minutes) for what in ("started", "completed", "failed")] == [
        5,
        4,
        1,
    ]

    names = ["orders.ship", "orders.pack"]
    news = await here.admin.gauges.news(names, before.until_ms)
    again = await here.admin.gauges.news(names, news.until_ms)
    told = [one.queues.get("orders.ship", {}) for one in (news, again)]
    assert sum(one.get("completed", 0) for one in told) == 4
    assert "orders.pack" not in news.queues


async def test_tokens_are_kept_and_dropped(here):
    """The core keeps what it is given, by id, and says whether there was something to drop."""
    await here.admin.keep_token("t1", b"{}")
    assert await here.admin.tokens() == {"t1": b"{}"}
    assert await here.admin.drop_token("t1")
    assert not await here.admin.drop_token("t1")


@pytest.mark.parametrize("cursor", ["nonsense", "9" * 400 + ":a", "-:x", ":", "1e5:a"])
async def test_cursor_that_is_none_is_refused(here, cursor):
    """A cursor comes from outside."""
    with pytest.raises(InvalidNameError):
        await here.admin.listing.page("orders.ship", State.WAITING, after=cursor)


async def test_cursor_of_no_job_goes_on_by_its_moment(here):
    """The job that a page ended with may be gone, or its id cut short; the list goes on where it stood."""
    await here.client.enqueue_many("orders.ship", orders(5, "acme"))
    first = await here.admin.listing.page("orders.ship", State.WAITING, limit=2)
    score = first.next.partition(":")[0]
    page = await here.admin.listing.page("orders.ship", State.WAITING, after=f"{score}:not an id")
    assert page.jobs[0].id == first.jobs[1].id


async def test_cause_is_the_last_one_even_where_a_worker_was_lost_in_between(here):
    """An error, a lost worker, an error: people want to know the last."""
    keys = here.store.keys("orders.ship")
    error = b'1 {"kind":"error","attempt":1,"error_type":"E","message":"m \\"fingerprint\\":\\"no\\"","fingerprint":"%s"}\n'
    crash = b'2 {"kind":"crash","worker":"w"}\n'
    from jobrunner.store import calls

    journals = {"a": error % b"one", "b": error % b"one" + crash, "c": crash + error % b"two", "d": b"3 {}\n"}
    for job_id, journal in journals.items():
        await here.store.run(calls.command("HSET", keys["state"], job_id, journal))
    told = await here.store.run(calls.causes(keys, [*journals, "none"]))
    assert [cause for _, cause in told] == ["one", "crash", "two", "", ""]
    await here.store.run(calls.command("DEL", keys["state"]))


async def test_look_for_causes_ends_in_time_and_goes_on_where_it_was(here):
    """With a traceback in each of 10,000 failures a look takes long: a page must come, and tell more when asked again."""
    await here.client.enqueue_many("orders.ship", orders(450, "acme", fate="broken"))
    await here.client.enqueue_many("orders.ship", orders(50, "globex", fate="unwanted"))
    await here.burst()
    moments = iter(range(1000))
    book = CauseBook(here.admin.store, clock=lambda: float(next(moments)))

    looks = [await book.causes("orders.ship") for _ in range(3)]

    assert [one.looked_at for one in looks] == [200, 400, 500]
    assert {one.total for one in looks} == {500}
    assert sum(cause.jobs for cause in looks[-1].causes) == 500


async def test_cause_that_is_remembered_is_of_the_failure_that_there_is_now(here):
    """A job that was retried and failed again for another reason must not be counted by the old one."""
    (handle,) = await here.client.enqueue_many("orders.ship", orders(1, "acme", fate="broken"))
    await here.burst()
    store, (before,) = here.admin.store, (await here.admin.book.causes("orders.ship")).causes
    keys = store.keys("orders.ship")
    await here.admin.retry("orders.ship", [handle.id])
    assert (await here.admin.book.causes("orders.ship")).causes == []
    record = await store.run(calls.command("HGET", keys["jobs"], handle.id))
    changed = record.replace(b'"broken"', b'"unwanted"')
    await store.run(calls.command("HSET", keys["jobs"], handle.id, changed))
    await here.burst()

    (after,) = (await here.admin.book.causes("orders.ship")).causes
    assert (before.error_type, after.error_type) == ("ValueError", "Discard")


async def test_causes_of_queues_not_asked_for_lately_are_forgotten(here, monkeypatch):
    """Memory must not grow with the queues that somebody once looked at."""
    monkeypatch.setattr("jobrunner.causes.MAX_REMEMBERED", 3)
    for name in ("orders.ship", "orders.pack"):
        await here.client.enqueue_many(name, orders(3, "acme", fate="broken"))
    await here.burst()
    book = here.admin.book

    for name in ("orders.ship", "orders.pack"):
        assert (await book.causes(name)).looked_at == 3
    assert list(book._known) == ["orders.pack"]
    assert (await book.causes("orders.ship")).looked_at == 3
