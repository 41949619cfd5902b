"""A producer and a worker on the set-ups that people have: TLS, a Unix socket, users with few rights."""

import asyncio

import msgspec
import pytest
import redis
from rig.certificates import Authority
from rig.servers import ServerOptions

from jobrunner import Client, Job, Queue, Retry, RetryPolicy, SyncClient
from jobrunner.doctor import examine
from jobrunner.errors import (
    JobCancelledError,
    JobFailedError,
    SettingsError,
    StoreRefusedError,
)
from jobrunner.explanation import explain
from jobrunner.pulse import look
from jobrunner.store import calls, permissions
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store

from .conftest import Bed

pytestmark = pytest.mark.long

WORD = "correct-horse"

NOW_AND_THEN = {"exists", "hgetall", "client|unblock", "wait"}
"""Commands that a short run need not come to: forgetting old jobs, striking off workers, filling up, replicas."""


class Errand(msgspec.Struct, rename="camel"):
    tenant_id: str = "t1"
    how: str = "well"


async def run_errand(job: Job[Errand]) -> str:
    await job.progress(0.5)
    job.log.info("on the way")
    await job.step("walk", walk)
    if job.payload.how == "again" and job.attempt == 1:
        raise Retry(after=0)
    if job.payload.how == "fail":
        raise ValueError("no way")
    if job.payload.how == "long":
        await asyncio.sleep(60)
    if job.payload.how == "more":
        await job.enqueue("errand", Errand())
    return "done"


async def walk() -> int:
    return 1


def errands(name="errand", **more):
    retry = RetryPolicy(max_attempts=2, base=0.01, cap=0.01)
    more = {"max_waiting_bytes": 1 << 30, "unique_field": None} | more
    return Queue(name, Errand, run_errand, concurrency=3, retry=retry, lease=1, **more)


@pytest.fixture
async def bed_at():
    """A bed on any address."""
    made = []

    def make(url, *queues):
        made.append(Bed(url, list(queues)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def live(bed, url, admin):
    """One job of each kind of life, enqueued by a producer at `url`; the worker's lines."""
    producer = SyncClient(open_sync_store(parse_url(url)), bed.plugins)

    def enqueue(how, **more):
        return producer.enqueue("errand", Errand(how=how), job_id=how, **more)

    async with bed.running():
        handles = [enqueue(how) for how in ("well", "again", "fail", "more")]
        later, long = enqueue("later", delay=0.2), enqueue("long")
        await bed.until(lambda: any(line["job_id"] == "long" for line in bed.lines("job.started")))
        await admin.cancel("errand", ["long"])
        assert await asyncio.to_thread(handles[0].result, 10) == "done"
        assert await asyncio.to_thread(later.result, 10) == "done"
        with pytest.raises(JobFailedError, match="no way"):
            await asyncio.to_thread(handles[2].result, 10)
        with pytest.raises(JobCancelledError):
            await asyncio.to_thread(long.result, 10)
        await bed.until(lambda: len(bed.lines("job.completed")) == 5, what="the job of a job")
        await admin.pause("errand", "t2")
        held = [
            producer.enqueue("errand", Errand(tenant_id="t2", how=how), job_id=f"held-{how}")
            for how in ("well", "kept")
        ]
        await admin.cancel("errand", ["held-kept"])
        await admin.resume("errand", "t2")
        assert await asyncio.to_thread(held[0].result, 30) == "done"
    producer.close()
    return bed.lines()


@pytest.mark.parametrize("setup", ["tls", "unix"])
async def test_worker_and_producer_live_on_every_transport(start_server, bed_at, tmp_path_factory, setup):
    """The same jobs over TLS with a private authority, and over a socket of the file system."""
    if setup == "tls":
        issued = Authority(tmp_path_factory.mktemp("ca")).issue("127.0.0.1")
        url = start_server("redis", ServerOptions(tls=issued)).url
    else:
        path = tmp_path_factory.mktemp("run") / "store.sock"
        start_server(options=ServerOptions(extra=("--unixsocket", str(path), "--unixsocketperm", "700")))
        url = f"unix://{path}"
    bed = bed_at(url, errands())
    lines = await live(bed, url, bed.admin)
    assert "worker.store_lost" not in [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("wrong authority", "self-signed certificate in certificate chain"),
        ("expired", "certificate has expired"),
        ("wrong host", "not valid for '127.0.0.1'"),
    ],
)
async def test_certificate_that_does_not_hold_is_refused_in_one_line(start_server, tmp_path, what, says):
    """Going on would hand every payload to whoever answers; trying again would hide why nothing moves."""
    authority = Authority(tmp_path / "ca")
    issued = authority.issue(
        "example.com" if what == "wrong host" else "127.0.0.1", expired=what == "expired"
    )
    server = start_server("redis", ServerOptions(tls=issued))
    url = server.url
    if what == "wrong authority":
        url = url.replace(str(issued.authority), str(Authority(tmp_path / "other", "other").certificate))
    store, blocking = open_store(parse_url(url)), open_sync_store(parse_url(url))

    with pytest.raises(StoreRefusedError) as refused:
        await store.run(calls.command("PING"))
    with pytest.raises(StoreRefusedError) as refused_too:
        blocking.run(calls.command("PING"))

    for error in (refused, refused_too):
        assert says in str(error.value)
        assert "ssl_ca_certs in REDIS_URL" in str(error.value)
        assert "\n" not in str(error.value)
    await store.close()
    blocking.close()


def test_authority_that_is_not_there_is_named_before_anything_is_sent(tmp_path):
    """`No such file or directory` without its name sends people to the wrong file."""
    with pytest.raises(SettingsError, match=r"REDIS_URL: ssl_ca_certs: .*gone\.pem is not there"):
        open_store(parse_url(f"rediss://127.0.0.1:1/0?ssl_ca_certs={tmp_path}/gone.pem"))


# ---- users with few rights ------------------------------------------------------------------------------------


class Users:
    """A server that lets in the users that the doctor prints, and nobody else but the test."""

    def __init__(self, server):
        self.server = server
        self.redis = server.client()

    def url(self, role, *, without=""):
        line = permissions.set_user(f"jr-{role}", role, parse_url(self.server.url), "jr", WORD)
        self.redis.execute_command(*[word for word in line.split() if word != f"+{without}"])
        return self.server.url.replace("redis://", f"redis://jr-{role}:{WORD}@")

    def denied(self):
        return [(entry["username"], entry["reason"], entry["object"]) for entry in self.redis.acl_log()]

    def used(self):
        """The commands that clients and scripts called, as an ACL names them."""
        stats = self.redis.info("commandstats")
        return {name.removeprefix("cmdstat_") for name, one in stats.items() if one["calls"]}


@pytest.fixture(params=["valkey", "redis"])
def users(request, start_server):
    server = start_server(request.param)
    return Users(server)


async def test_worker_and_producer_live_with_exactly_what_the_doctor_prints(users, bed_at):
    """A right too few is a job that fails one night; a right too many is a hole."""
    work, produce = users.url("worker"), users.url("producer")
    root = Bed(users.server.url, [errands()])
    bed = bed_at(work, errands(), errands("free", max_waiting_bytes=None))
    users.redis.config_resetstat()

    lines = await live(bed, produce, root.admin)
    with SyncClient(open_sync_store(parse_url(produce)), bed.plugins) as producer:
        producer.enqueue("free", Errand())  # the short way in, which no bound closes here
    assert users.denied() == []
    assert [line for line in lines if line["event"] == "worker.store_lost"] == []
    granted = {*permissions.commands("worker", bed.address), *permissions.commands("producer", bed.address)}
    assert granted - users.used() <= NOW_AND_THEN
    await root.close()


def test_users_are_kept_from_everything_else(users):
    """A producer that is broken into must not read what others' jobs did, and nobody may read other keys."""
    users.redis.set("session:1", "secret")
    users.redis.hset("jr:{errand}:steps", "a", "secret")
    for role in ("worker", "producer"):
        with redis.Redis.from_url(users.url(role)) as client:
            for command in (
                "GET session:1",
                "KEYS *",
                "CONFIG GET *",
                "FLUSHALL",
                "DEL jr:{errand}:jobs",
                "ACL LIST",
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())
            if role == "producer":
                for command in ("HGET jr:{errand}:steps a", "HGET jr:{!fleet}:workers a", "INFO"):
                    with pytest.raises(redis.exceptions.NoPermissionError):
                        client.execute_command(*command.split())


async def test_operator_may_ask_why_a_job_stands_where_it_stands(users, bed_at):
    """Whoever is on call has no other user; a job that is held, delayed, in line or gone each takes other commands."""
    root, people = bed_at(users.server.url, errands()), bed_at(users.url("operator"), errands())
    await root.admin.pause("errand", "t1")
    held = [await root.client.enqueue("errand", Errand()) for _ in range(2)]
    await root.burst()
    later = await root.client.enqueue("errand", Errand(tenant_id="t2"), delay=600)
    line = await root.client.enqueue("errand", Errand(tenant_id="t2"))

    ids = [held[1].id, later.id, line.id, "never"]
    told = [(await explain(people.admin, "errand", job_id)).state for job_id in ids]
    found = await look(people.admin)

    assert told == ["parked", "delayed", "waiting", "unknown"]
    assert [one.name for one in found.queues] == ["errand"]
    assert users.denied() == []


@pytest.mark.parametrize("missing", ["evalsha", "hincrby"])
async def test_missing_right_of_a_producer_is_one_line_that_names_the_command(users, bed_at, missing):
    """Whoever wrote the user must see which right is missing, whether the command is sent or a script calls it."""
    bed = bed_at(users.server.url, errands())
    address = parse_url(users.url("producer", without=missing))
    async with Client(open_store(address), bed.plugins) as client:
        with pytest.raises(StoreRefusedError) as refused:
            await client.enqueue("errand", Errand())
    with (
        SyncClient(open_sync_store(address), bed.plugins) as producer,
        pytest.raises(StoreRefusedError) as refused_too,
    ):
        producer.enqueue("errand", Errand())
    for error in (refused, refused_too):
        assert f"'{missing}'" in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["blpop", "zpopmin", "info"])
async def test_missing_right_of_a_worker_is_one_line_that_names_the_command(users, bed_at, missing):
    """At the start it ends the worker; later the worker says it once, and waits for somebody to grant it."""
    bed = bed_at(users.url("worker", without=missing), errands())
    if missing == "info":
        with pytest.raises(StoreRefusedError, match="'info'"):
            await bed.worker().run()
        return
    async with bed.running():
        await bed.until(lambda: bed.lines("worker.store_lost"))
        users.url("worker")
        await bed.until(lambda: bed.lines("worker.store_recovered"))
    (lost,) = bed.lines("worker.store_lost")
    assert (lost["error_type"], f"'{missing}'" in lost["error"]) == ("StoreRefusedError", True), lost


@pytest.mark.cluster
@pytest.mark.parametrize("setup", ["cluster", "sentinels"])
async def test_users_live_on_several_servers_too(start_cluster, start_sentinels, bed_at, setup):
    """Finding the way takes commands of its own; a user without them could not follow a failover."""
    there = start_cluster() if setup == "cluster" else start_sentinels()
    servers = there.nodes if setup == "cluster" else there.servers
    plain = parse_url(there.url)
    for role in ("worker", "producer", "operator"):
        line = permissions.set_user(f"jr-{role}", role, plain, "jr", WORD)
        for server in servers:
            server.client().execute_command(*line.split())
    urls = {
        role: there.url.replace("://", f"://jr-{role}:{WORD}@") for role in ("worker", "producer", "operator")
    }
    bed, people = bed_at(urls["worker"], errands()), bed_at(urls["operator"], errands())

    lines = await live(bed, urls["producer"], people.admin)
    assert (await people.admin.health()).failed_jobs == 1
    assert [one async for one in examine(people.admin, fix=True)]

    assert [line for line in lines if line["event"] == "worker.store_lost"] == []
    for server in servers:
        assert server.client().acl_log() == []
