"""Producers on a real server: one job for one call, whatever becomes of the answer."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

import msgspec
import pytest
from rig.faults import DropReply, DropRequest, named

from jobrunner import (
    BatchError,
    Client,
    ClosedClientError,
    ConflictError,
    InvalidNameError,
    Job,
    JobCancelledError,
    JobFailedError,
    PayloadError,
    Queue,
    QueueFullError,
    ResultGone,
    StoreUnavailableError,
    SyncClient,
    UnknownQueueError,
    hookimpl,
)
from jobrunner.declaration import declare, payload_schema
from jobrunner.discovery import Found
from jobrunner.drafting import Options
from jobrunner.plugins import Plugins, from_object
from jobrunner.record import AttemptError, Crash, Note, Result
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.calls import MAX_ENQUEUE, Exchange, Settlement
from jobrunner.store.connect import open_store, open_sync_store


class Letter(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    text: str = ""
    send_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


async def send(job: Job[Letter]) -> None: ...


QUEUE = Queue(
    "letter.send", Letter, send, priority=4, route="letter/send", schedule_field="send_at", max_waiting=600
)


class Post:
    told: ClassVar[list[object]] = []

    @staticmethod
    @hookimpl
    def jobrunner_queues():
        return [QUEUE]

    @staticmethod
    @hookimpl
    def jobrunner_enqueue(queue, headers):
        return {"trace": f"t-{queue}"}

    @staticmethod
    @hookimpl
    def jobrunner_event(event):
        Post.told.append(event)


def plugins():
    return Plugins([from_object(Post, Found(name="post", target="here"), {})])


@pytest.fixture
def url(shared_server):
    server = shared_server("valkey")
    server.client().flushall()
    return server.url


@pytest.fixture
async def client(url):
    async with Client(open_store(parse_url(url)), plugins()) as made:
        yield made


@pytest.fixture
def redis(shared_server, url):
    return shared_server("valkey").client()


def stored(redis, job_id):
    return json.loads(redis.hget("jr:{letter.send}:jobs", job_id))


async def test_job_is_stored_as_it_was_meant(client, redis):
    """Priority, tenant, payload and headers, in the record's order."""
    handle = await client.enqueue("letter.send", {"tenant_id": "t1", "text": "hi"}, headers={"a": "b"})
    _, priority, tenant, version, payload, headers = stored(redis, handle.id)
    assert (priority, tenant, version, payload) == (
        4,
        "t1",
        1,
        {"tenantId": "t1", "text": "hi", "sendAt": None},
    )
    assert headers == {"a": "b", "trace": "t-letter.send"}
    assert Post.told[-1].job_id == handle.id


async def test_chosen_id_makes_the_call_idempotent(client):
    """The same id and payload is the same job, in either spelling; another payload is a conflict."""
    first = await client.enqueue("letter.send", Letter("t1", "hi"), job_id="l-1")
    again = await client.enqueue("letter.send", {"tenantId": "t1", "text": "hi"}, job_id="l-1", priority=9)
    assert (first.created, again.created) == (True, False)
    with pytest.raises(ConflictError) as caught:
        await client.enqueue("letter.send", Letter("t2", "hi"), job_id="l-1")
    assert caught.value.ids == ["l-1"]


async def test_factory_checks_its_words_when_it_is_called(client, redis):
    """`client.letter.send(...)` for the route `letter/send`."""
    handle = await client.letter.send(tenant_id="t1", text="hi", priority=7)
    assert stored(redis, handle.id)[1] == 7
    with pytest.raises(AttributeError, match="letter"):
        client.lettr  # noqa: B018
    with pytest.raises(AttributeError, match="send"):
        client.letter.sent  # noqa: B018
    with pytest.raises(PayloadError, match="txt"):
        await client.letter.send(tenant_id="t1", txt="hi")


async def test_delay_time_and_schedule_field_all_delay(client, redis):
    """An option of the call beats the payload."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    ids = [
        (await client.enqueue("letter.send", Letter("t"), delay=60)).id,
        (await client.enqueue("letter.send", Letter("t"), at=soon)).id,
        (await client.enqueue("letter.send", Letter("t", send_at=soon))).id,
    ]
    assert sorted(ids) == sorted(name.decode() for name in redis.zrange("jr:{letter.send}:later", 0, -1))
    past = await client.enqueue("letter.send", Letter("t", send_at=datetime(2020, 1, 1, tzinfo=UTC)))
    assert redis.zscore("jr:{letter.send}:wait", past.id) is not None
    now = await client.enqueue("letter.send", Letter("t", send_at=soon), delay=0)
    assert redis.zscore("jr:{letter.send}:wait", now.id) is not None


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"delay": -1}, PayloadError, "delay is"),
        ({"delay": float("nan")}, PayloadError, "delay is"),
        ({"delay": 1, "at": datetime.now(UTC)}, PayloadError, "not both"),
        ({"at": datetime(2026, 1, 1)}, PayloadError, "time zone"),  # noqa: DTZ001 - the mistake that is meant
        ({"at": datetime(2999, 1, 1, tzinfo=UTC)}, PayloadError, "ten years"),
        ({"priority": 101}, PayloadError, "priority"),
        ({"priority": True}, PayloadError, "priority"),
        ({"tenant": "other"}, PayloadError, "must be the same"),
        ({"job_id": "a b"}, InvalidNameError, "job id"),
        ({"headers": {"a": "b\nc"}}, PayloadError, "header"),
        ({"headers": {str(k): "x" for k in range(40)}}, PayloadError, "32 headers"),
        ({"headers": {"jobrunner-due": "1"}}, PayloadError, "own"),
    ],
)
async def test_wrong_option_is_refused_before_anything_is_sent(client, redis, options, error, said):
    """One line that says which."""
    with pytest.raises(error, match=said):
        await client.enqueue("letter.send", Letter("t"), **options)
    assert redis.exists("jr:{letter.send}:jobs") == 0


async def test_bulk_is_checked_whole_and_goes_in_by_batches(client, redis):
    """A bad payload at the end keeps the good ones out."""
    with pytest.raises(PayloadError, match="tenantId"):
        await client.enqueue_many("letter.send", [{"tenantId": "t"}] * 10 + [{}])
    assert redis.exists("jr:{letter.send}:jobs") == 0
    handles = await client.enqueue_many("letter.send", [Letter("t", str(n)) for n in range(550)])
    assert len({handle.id for handle in handles}) == redis.zcard("jr:{letter.send}:wait") == 550
    assert await client.enqueue_many("letter.send", []) == []


async def test_bulk_that_is_refused_midway_says_how_many_went_in(client):
    """The cap is 600: whole batches of it fit."""
    with pytest.raises(BatchError) as caught:
        await client.enqueue_many("letter.send", [Letter("t", str(n)) for n in range(700)])
    assert caught.value.enqueued == 600 // MAX_ENQUEUE * MAX_ENQUEUE
    assert isinstance(caught.value.__cause__, QueueFullError)


async def test_bulk_gives_each_payload_its_handle(client, redis):
    """Over several batches, some of whose jobs are there already; first in, first out."""
    ids = [f"l-{number:04d}" for number in range(2 * MAX_ENQUEUE + 20)]
    letters = [Letter("t", name) for name in ids]
    there = {name for number, name in enumerate(ids) if number % 7 == 0}
    await client.enqueue_many(
        "letter.send", [Letter("t", name) for name in sorted(there)], job_ids=sorted(there)
    )

    handles = await client.enqueue_many("letter.send", letters, job_ids=ids)

    assert [handle.id for handle in handles] == ids
    assert {handle.id for handle in handles if not handle.created} == there
    in_line = [name.decode().split()[-1] for name in redis.zrange("jr:{letter.send}:wait", 0, -1)]
    new = [name for name in ids if name not in there]
    assert [name for name in in_line if name not in there] == new


async def test_bulk_that_is_given_up_leaves_nothing_running(client, redis):
    """The batch that is on its way belongs to the call, and ends with it."""
    await client.enqueue("letter.send", Letter("t"))
    redis.client_pause(60_000, all=False)
    try:
        many = asyncio.ensure_future(
            client.enqueue_many("letter.send", [Letter("t", str(n)) for n in range(550)])
        )
        await asyncio.sleep(0.05)
        many.cancel()
        with pytest.raises(asyncio.CancelledError):
            await many
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
    finally:
        redis.client_unpause()


def test_blocking_bulk_that_is_refused_midway_says_how_many_went_in(url):
    """As the other client does."""
    with (
        SyncClient(open_sync_store(parse_url(url)), plugins()) as client,
        pytest.raises(BatchError) as caught,
    ):
        client.enqueue_many("letter.send", [Letter("t", str(n)) for n in range(700)])
    assert caught.value.enqueued == 600 // MAX_ENQUEUE * MAX_ENQUEUE
    assert isinstance(caught.value.__cause__, QueueFullError)


def test_batch_tells_of_each_id_what_is_there_instead(url):
    """Whoever moves jobs from elsewhere has to know of each whether it is in."""
    with SyncClient(open_sync_store(parse_url(url)), plugins()) as client:
        ids = ("new", "same", "second")
        keys = (None, None, "only-one")
        client.enqueue("letter.send", Letter("t"), job_id="same")
        client.enqueue("letter.send", Letter("t"), job_id="first", unique="only-one")
        batch = [
            client.draft("letter.send", Letter("t"), Options(job_id=job_id, unique=key))
            for job_id, key in zip(ids, keys, strict=True)
        ]
        clash = client.draft("letter.send", Letter("t", "other"), Options(job_id="first"))

        assert client.send_batch(batch) == {"same": "same", "second": "first"}
        with pytest.raises(ConflictError) as caught:
            client.send_batch([clash])
        assert caught.value.ids == ["first"]


@pytest.mark.parametrize("fault", [DropReply(), DropRequest()], ids=["reply lost", "request lost"])
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_enqueue_whose_answer_was_lost_is_one_job(url, redis, start_proxy, fault, kind):
    """It is sent again with the same id, so nobody gets two letters."""
    proxy = start_proxy(url)
    rule = proxy.at(1, fault, only=named("EVALSHA", "EVAL"))
    if kind == "async":
        async with Client(open_store(parse_url(proxy.url)), plugins()) as client:
            handle = await client.enqueue("letter.send", Letter("t"))
    else:
        with SyncClient(open_sync_store(parse_url(proxy.url)), plugins()) as client:
            handle = client.enqueue("letter.send", Letter("t"))
    assert rule.hits == 1
    assert [name.decode() for name in redis.hkeys("jr:{letter.send}:jobs")] == [handle.id]


async def test_store_that_stays_away_is_an_error_in_time(start_server):
    """An API server must answer its own clients."""
    server = start_server("valkey")
    client = Client(open_store(parse_url(server.url)), plugins(), retry_for=0.3)
    server.kill()
    with pytest.raises(StoreUnavailableError):
        await client.enqueue("letter.send", Letter("t"))
    await client.close()


ENDED = {
    "complete": Result(value=msgspec.Raw(b'{"a":[1]}')),
    "complete with nothing": None,
    "fail": AttemptError(attempt=3, error_type="KeyError", message="no such letter"),
    "crash": Crash(worker="w1", buried=True),
    "cancel": Note(what="cancelled", reason="enough"),
}


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_result_is_what_became_of_the_job(client, url, kind):
    """The handler's value, or an error that says which."""

    async def result_of(how):
        handle = await client.enqueue("letter.send", Letter("t"))
        keys, entry = client.store.keys("letter.send"), ENDED[how]
        raw = b"" if entry is None else msgspec.json.encode(entry)
        outcome = "fail" if how == "crash" else how.split()[0]
        ask = Exchange(consumer=handle.id, serial=1, nonce="n" * 22, want=1, lease_ms=5000)
        end = msgspec.structs.replace(
            ask,
            serial=2,
            nonce="m" * 22,
            want=0,
            settlements=[Settlement(handle.id, "n" * 22, outcome, 0, raw)],
        )
        assert [job.id for job in (await client.store.run(calls.exchange(keys, ask))).jobs] == [handle.id]
        assert not (await client.store.run(calls.exchange(keys, end))).refused
        if kind == "async":
            return await handle.result(timeout=5)
        with SyncClient(open_sync_store(parse_url(url)), plugins()) as blocking:
            return await asyncio.to_thread(blocking.handle("letter.send", handle.id).result, timeout=5)

    assert await result_of("complete") == {"a": [1]}
    assert await result_of("complete with nothing") is None
    with pytest.raises(JobFailedError, match="failed: KeyError: no such letter"):
        await result_of("fail")
    with pytest.raises(JobFailedError, match="its worker was lost"):
        await result_of("crash")
    with pytest.raises(JobCancelledError, match="was cancelled: enough"):
        await result_of("cancel")


async def test_result_that_does_not_come_in_time_or_at_all_is_an_error(client, redis):
    """Waiting has an end that the caller chose, and a job that was cleared away has no result any more."""
    handle = await client.enqueue("letter.send", Letter("t"))
    with pytest.raises(TimeoutError):
        await handle.result(timeout=0.05)
    redis.hdel("jr:{letter.send}:jobs", handle.id)
    with pytest.raises(ResultGone):
        await handle.result(timeout=5)


async def test_queue_of_a_plugin_that_is_not_here_is_enqueued_by_name(client, url, redis):
    """An API server need not install what workers run; what they declared is enough."""
    stranger = Client(open_store(parse_url(url)), Plugins([]))
    with pytest.raises(UnknownQueueError, match="no worker has served it"):
        await stranger.enqueue("letter.send", {"tenantId": "t"})

    redis.hset("jr:{!fleet}:queues", "letter.send", msgspec.json.encode(declare(QUEUE)))
    redis.hset("jr:{!fleet}:schemas", "letter.send", msgspec.json.encode(payload_schema(QUEUE)))
    handle = await stranger.enqueue("letter.send", {"tenantId": "t9", "text": "hi"})
    record = stored(redis, handle.id)
    assert record[1:3] == [4, "t9"]
    with pytest.raises(PayloadError):
        await stranger.enqueue("letter.send", {"tenantId": "t9", "text": 5})
    await stranger.close()


async def test_declaration_that_is_no_such_thing_is_one_clear_error(client, url, redis):
    """What lies in the store is data, and never trusted."""
    redis.hset("jr:{!fleet}:queues", "other.queue", b'{"name": 5}')
    stranger = Client(open_store(parse_url(url)), Plugins([]))
    with pytest.raises(UnknownQueueError, match="cannot be read"):
        await stranger.enqueue("other.queue", {})
    await stranger.close()


def test_client_that_is_carried_over_a_fork_raises(url):
    """Each process makes its own."""
    client = SyncClient(open_sync_store(parse_url(url)), plugins())
    client.enqueue("letter.send", Letter("t"))
    child = os.fork()
    if child == 0:
        try:
            client.enqueue("letter.send", Letter("t"))
        except ClosedClientError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.close()


def test_sync_client_has_the_same_methods(url, redis):
    """But for `await`."""
    with SyncClient(open_sync_store(parse_url(url)), plugins()) as client:
        handle = client.letter.send(tenant_id="t1")
        client.enqueue_many("letter.send", [Letter("t", str(n)) for n in range(3)], job_ids=["a", "b", "c"])
        with pytest.raises(TimeoutError):
            handle.result(timeout=0.05)
    assert redis.zcard("jr:{letter.send}:wait") == 4
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public <= {name for name in dir(SyncClient) if not name.startswith("_")}


async def test_client_comes_from_the_environment(url, monkeypatch):
    """As an API server makes it."""
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("JOBRUNNER_PREFIX", "other")
    monkeypatch.delenv("JOBRUNNER_PLUGINS", raising=False)
    async with Client.from_env() as client:
        assert "publish.dispatch" in client.plugins.queues
        assert client.store.keys("q")["jobs"] == "other:{q}:jobs"
        assert await client.store.run(calls.command("PING")) == b"PONG"


async def test_second_job_of_a_unique_key_is_the_first_one(client, redis):
    """A button that is pressed twice, while the first press is worked on."""
    first = await client.enqueue("letter.send", {"tenant_id": "t1", "text": "a"}, unique="post-9")
    second = await client.enqueue("letter.send", {"tenant_id": "t1", "text": "b"}, unique="post-9")
    other = await client.enqueue("letter.send", {"tenant_id": "t2"}, unique="post-9")

    assert (second.id, second.created) == (first.id, False)
    assert other.created, "one tenant's key says nothing of another's"
    assert redis.hlen("jr:{letter.send}:jobs") == 2
    assert (Post.told[-2].job_id, Post.told[-2].created) == (first.id, False)


def test_blocking_client_knows_unique_keys_too(url):
    """And so does the factory, whose fields they stand beside."""
    with SyncClient(open_sync_store(parse_url(url)), plugins()) as client:
        first = client.letter.send(tenant_id="t1", unique="k")
        again = client.enqueue("letter.send", {"tenantId": "t1"}, unique="k")
        assert (again.id, again.created) == (first.id, False)


async def test_queue_can_name_the_field_that_is_the_key(url, redis):
    """Then no producer has to think of it, in bulk or by name; a field that is empty is no key."""
    queue = Queue("letter.once", Letter, send, unique_field="text")

    class Once:
        @staticmethod
        @hookimpl
        def jobrunner_queues():
            return [queue]

    made = Plugins([from_object(Once, Found(name="once", target="here"), {})])
    redis.hset("jr:{!fleet}:queues", "letter.once", msgspec.json.encode(declare(queue)))
    payloads = [{"tenantId": "t1", "text": text} for text in ("x", "x", "", "", "y")]
    async with Client(open_store(parse_url(url)), made) as here:
        handles = await here.enqueue_many("letter.once", payloads)
    assert [handle.created for handle in handles] == [True, False, True, True, True]
    assert handles[1].id == handles[0].id
    async with Client(open_store(parse_url(url)), Plugins([])) as by_name:
        assert (await by_name.enqueue("letter.once", payloads[0])).id == handles[0].id


@pytest.mark.parametrize("key", [7.5, True, "a\nb", "x" * 257, ["a"]])
async def test_unique_key_that_is_none_is_refused(client, key):
    """Before anything is sent."""
    with pytest.raises(PayloadError, match="unique key"):
        await client.enqueue("letter.send", {"tenant_id": "t1"}, unique=key)


def test_unique_field_that_is_not_there_is_refused():
    """Where it is written."""
    with pytest.raises(ValueError, match="unique_field 'id'"):
        Queue("letter.once", Letter, send, unique_field="id")


def full(redis, most=1):
    redis.hset("jr:{letter.send}:meta", "max_waiting", most)


async def test_producer_can_wait_for_room(client, redis):
    """A producer that is faster than its workers should slow down, and not fail."""
    first = await client.enqueue("letter.send", {"tenant_id": "t1"})
    full(redis)
    waits = asyncio.create_task(client.enqueue("letter.send", {"tenant_id": "t1"}, wait=30))
    with pytest.raises(QueueFullError, match="1 of 1 jobs"):
        await client.enqueue("letter.send", {"tenant_id": "t1"}, wait=0.02)
    assert not waits.done()
    await client.store.run(calls.remove(client.store.keys("letter.send"), [first.id]))

    assert (await waits).created


async def test_bulk_waits_for_room_a_batch_at_a_time(client, redis):
    """In parts that the queue can take, or it would wait for ever; and when the time is up it says how far it came."""
    payloads = [{"tenant_id": "t1", "text": str(number)} for number in range(1200)]
    waits = asyncio.create_task(client.enqueue_many("letter.send", payloads, wait=30))
    keys = client.store.keys("letter.send")
    while not waits.done():
        await asyncio.sleep(0.01)
        ids = [name.decode() for name in redis.zrange(keys["wait"], 0, 99)]
        if ids:
            await client.store.run(calls.remove(keys, ids))
    assert len(await waits) == 1200
    with pytest.raises(BatchError, match=r"full with [\d,]+ of 600 jobs"):
        await client.enqueue_many("letter.send", payloads, wait=0.02)


def test_blocking_producer_waits_too_and_not_for_ever(url, redis):
    """Through the factory as well."""
    with SyncClient(open_sync_store(parse_url(url)), plugins()) as client:
        client.letter.send(tenant_id="t1")
        full(redis)
        with pytest.raises(QueueFullError):
            client.letter.send(tenant_id="t1", wait=0.02)
        full(redis, 2)
        assert client.enqueue("letter.send", {"tenant_id": "t1"}, wait=5).created


@pytest.mark.parametrize("wait", [-1, float("nan"), float("inf"), 86_401, True, "5"])
async def test_wait_that_has_no_end_is_refused(client, wait):
    """A producer that hangs is worse than one that fails."""
    with pytest.raises(ValueError, match="wait is 0 to 86400 seconds"):
        await client.enqueue("letter.send", {"tenant_id": "t1"}, wait=wait)
