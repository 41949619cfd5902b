"""The short way in for one job, as producers go it: when they do, and that nobody can tell by what becomes of the job."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from rig.faults import DropReply, DropRequest, Reset, named

from jobrunner import (
    Client,
    ConflictError,
    Queue,
    QueueFullError,
    StoreUnavailableError,
    SyncClient,
    hookimpl,
    producing,
)
from jobrunner.discovery import Found
from jobrunner.model import State
from jobrunner.names import new_nonce
from jobrunner.plugins import Plugins, from_object
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.scripts import script

BOTH = pytest.mark.parametrize("kind", ["async", "sync"])
LOSSES = pytest.mark.parametrize(
    "fault", [DropReply(), DropRequest(), Reset()], ids=["reply lost", "request lost", "reset"]
)


class Parcel(msgspec.Struct, rename="camel"):
    to: str


async def send(job): ...


class Depot:
    def __init__(self):
        self.told = []

    @hookimpl
    def jobrunner_queues(self):
        return [Queue("parcel.send", Parcel, send), Queue("parcel.few", Parcel, send, max_waiting=5)]

    @hookimpl
    def jobrunner_event(self, event):
        self.told.append(event)


class Desk:
    """A producer of either kind, asked from a test that awaits."""

    def __init__(self, kind, url, **more):
        self.depot = Depot()
        plugins = Plugins([from_object(self.depot, Found(name="depot", target="here"), {})])
        if kind == "async":
            self.client = Client(open_store(parse_url(url)), plugins, **more)
        else:
            self.client = SyncClient(open_sync_store(parse_url(url)), plugins, **more)
        self.enqueue = getattr(self, f"_{kind}")

    async def _async(self, queue="parcel.send", to="me", **options):
        return await self.client.enqueue(queue, {"to": to}, **options)

    async def _sync(self, queue="parcel.send", to="me", **options):
        return await asyncio.to_thread(self.client.enqueue, queue, {"to": to}, **options)

    async def close(self):
        closed = self.client.close()
        if closed is not None:
            await closed


@pytest.fixture
def url(shared_server):
    server = shared_server("valkey")
    server.client().flushall()
    return server.url


@pytest.fixture
def redis(shared_server, url):
    return shared_server("valkey").client()


@pytest.fixture
async def make():
    made = []

    def desk(*args, **more):
        made.append(Desk(*args, **more))
        return made[-1]

    yield desk
    for one in made:
        await one.close()


def scripts(redis):
    """How often each way was taken since the server was asked last, by a call that each of them makes."""
    runs = redis.info("commandstats")
    redis.config_resetstat()
    found = [
        runs.get(f"cmdstat_{name}", {"calls": 0})["calls"]
        for name in ("hsetnx", "zmscore", "evalsha", "eval")
    ]
    return {"short": found[0], "long": found[1], "sent": found[2] + found[3]}


@BOTH
async def test_job_that_asks_for_nothing_goes_the_short_way(make, kind, url, redis):
    """In one round trip once the server knows the script."""
    desk = make(kind, url)
    first = await desk.enqueue()
    scripts(redis)
    handle = await desk.enqueue()
    assert scripts(redis) == {"short": 1, "long": 0, "sent": 1}
    chosen = await desk.enqueue(job_id="mine")
    assert scripts(redis) == {"short": 1, "long": 0, "sent": 1}
    assert [one.created for one in (first, handle, chosen)] == [True] * 3
    told = [(one.job_id, one.created) for one in desk.depot.told]
    assert told == [(first.id, True), (handle.id, True), ("mine", True)]
    assert redis.zrange("jr:{parcel.send}:wait", 0, -1) == [
        one.encode() for one in (first.id, handle.id, "mine")
    ]


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {"delay": 60},
        {"at": datetime.now(UTC) + timedelta(days=1)},
        {"unique": "key"},
        {"queue": "parcel.few"},
    ],
    ids=["delayed", "at a time", "unique", "of a bounded queue"],
)
async def test_job_that_asks_for_more_goes_the_long_way_at_once(make, kind, url, redis, options):
    """Asking in vain would cost a round trip."""
    desk = make(kind, url)
    scripts(redis)
    await desk.enqueue(**options)
    found = scripts(redis)
    assert (found["short"], found["long"] > 0) == (0, True)


@BOTH
async def test_id_that_is_known_is_told_as_ever(make, kind, url):
    """The same job, or a conflict."""
    desk = make(kind, url)
    assert (await desk.enqueue(job_id="p-1")).created
    assert not (await desk.enqueue(job_id="p-1")).created
    with pytest.raises(ConflictError):
        await desk.enqueue(job_id="p-1", to="you")
    assert [one.created for one in desk.depot.told] == [True, False]


@BOTH
async def test_rules_of_operators_hold_and_are_asked_for_now_and_then(make, kind, url, redis, monkeypatch):
    """A queue that had rules a moment ago has them now, most likely; a while later it is looked at again."""
    monkeypatch.setattr(producing, "LIMITED_S", 0.5)
    desk = make(kind, url)
    await desk.enqueue()
    store = open_sync_store(parse_url(url))
    limit = calls.limit(store.keys("parcel.send"), {"max_waiting": 2})
    store.run(limit)
    await desk.enqueue()
    with pytest.raises(QueueFullError, match="2 of 2 jobs"):
        await desk.enqueue()
    assert desk.client._limited["parcel.send"] > 0
    scripts(redis)
    with pytest.raises(QueueFullError, match="2 of 2 jobs"):
        await desk.enqueue()
    assert scripts(redis)["sent"] == 1, "it goes the long way at once"
    store.run(calls.limit(store.keys("parcel.send"), {"max_waiting": ""}))
    await asyncio.sleep(0.6)
    scripts(redis)
    await desk.enqueue()
    assert scripts(redis) == {"short": 1, "long": 0, "sent": 1}
    store.close()


@BOTH
@LOSSES
@pytest.mark.parametrize("job_id", [None, "p-1"], ids=["its id is new", "its id was chosen"])
async def test_job_whose_answer_was_lost_on_the_short_way_is_one_job(
    make, kind, url, redis, start_proxy, fault, job_id
):
    """The long way knows whether it got in."""
    proxy = start_proxy(url)
    redis.script_load(script("enqueue_one").text)
    rule = proxy.at(1, fault, only=named("EVALSHA", "EVAL"))
    desk = make(kind, proxy.url)
    handle = await desk.enqueue(job_id=job_id)
    assert rule.hits == 1
    assert redis.hkeys("jr:{parcel.send}:jobs") == [handle.id.encode()]
    assert redis.zrange("jr:{parcel.send}:wait", 0, -1) == [handle.id.encode()]
    assert len(desk.depot.told) == 1


@BOTH
async def test_job_that_ended_while_its_answer_was_lost_is_not_done_again(
    make, kind, url, redis, start_proxy
):
    """A worker can be faster than the producer's second try."""
    proxy = start_proxy(url)
    redis.script_load(script("enqueue_one").text)
    desk = make(kind, proxy.url)
    store = open_sync_store(parse_url(url))
    keys = store.keys("parcel.send")
    proxy.at(1, DropReply(), only=named("EVALSHA", "EVAL"))
    held = proxy.at(2, DropRequest(), only=named("EVALSHA", "EVAL"))
    enqueued = asyncio.create_task(desk.enqueue())
    serial, jobs = 0, []
    while not jobs:
        await asyncio.sleep(0.001)
        nonce, serial = new_nonce(), serial + 1
        request = calls.Exchange(consumer="w", serial=serial, nonce=nonce, want=1, lease_ms=1000)
        jobs = store.run(calls.exchange(keys, request)).jobs
    (job,) = jobs
    done = calls.Exchange(
        consumer="w", serial=serial + 1, nonce=new_nonce(), want=0, lease_ms=1000, plain=[job.id, nonce]
    )
    store.run(calls.exchange(keys, done))
    store.run(calls.trim(keys, State.COMPLETED, keep=0, keep_ms=-1, limit=9, own_ms=60_000))
    assert not redis.hexists(keys["jobs"], job.id)

    handle = await enqueued

    assert held.hits == 1
    assert (handle.id, handle.created) == (job.id, False)
    assert not redis.zcard(keys["wait"])
    store.close()


@BOTH
async def test_store_that_is_away_is_an_error_in_time(make, kind, start_server, monkeypatch):
    """Both ways together take no longer than one: the time counts from the first try."""
    server = start_server("valkey")
    desk = make(kind, server.url, retry_for=0.3)
    tries, wait = [], desk.client._wait
    monkeypatch.setattr(desk.client, "_wait", lambda *told: tries.append(told[1:]) or wait(*told))
    server.kill()
    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailableError):
            await desk.enqueue()
    assert len(tries) > 1
    assert [failures for failures, _ in tries] == list(range(1, len(tries) + 1))
    assert len({begun for _, begun in tries}) == 1
