"""`durability="replicated"`: an enqueue that returns is on two servers, and one that cannot tell says so."""

import asyncio

import msgspec
import pytest
from rig.servers import ServerOptions

from jobrunner import Client, Job, OutcomeUnknownError, Queue, QueueFullError, SyncClient
from jobrunner.errors import PayloadError, StoreRefusedError
from jobrunner.producing import BatchError
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store, open_sync_store

from .conftest import Bed

pytestmark = pytest.mark.long


class Note(msgspec.Struct):
    text: str = "x"


async def write(job: Job[Note]) -> None:
    return None


QUEUE = Queue("note.write", Note, write)
JOBS = "jr:{note.write}:jobs"


class Pair:
    """A primary, its replica, and producers of both kinds."""

    def __init__(self, primary, replica):
        self.primary = primary
        self.replica = replica
        self.bed = Bed(primary.url, [QUEUE])

    def client(self, url=None):
        return Client(open_store(parse_url(url or self.primary.url)), self.bed.plugins, retry_for=0.0)

    def sync_client(self, url=None):
        return SyncClient(
            open_sync_store(parse_url(url or self.primary.url)), self.bed.plugins, retry_for=0.0
        )

    def ids(self):
        return {name.decode() for name in self.replica.client().hkeys(JOBS)}


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.cluster)])
async def pair(request, start_server):
    quick = ("--repl-diskless-sync-delay", "0")
    primary = start_server(request.param, ServerOptions(extra=quick))
    follow = ("--replicaof", "127.0.0.1", str(primary.port))
    made = Pair(primary, start_server(request.param, ServerOptions(extra=(*quick, *follow))))
    await made.bed.until(lambda: made.replica.client().info("replication").get("master_link_status") == "up")
    yield made
    made.replica.resume()
    await made.bed.close()


async def test_enqueue_that_returns_is_on_the_replica(pair):
    """Whoever asked for it may forget the job then, whatever becomes of the primary."""
    async with pair.client() as client:
        first = await client.enqueue("note.write", Note(), durability="replicated")
        assert pair.ids() == {first.id}
        many = await client.enqueue_many("note.write", [Note()] * 1000, durability="replicated")
        assert pair.ids() == {first.id, *[one.id for one in many]}
    with pair.sync_client() as client:
        second = client.enqueue("note.write", Note(), durability="replicated")
        others = client.enqueue_many("note.write", [Note()] * 3, durability="replicated")
        assert {second.id, *[one.id for one in others]} <= pair.ids()


async def test_enqueue_that_no_replica_confirms_says_unknown(pair):
    """It may survive or not: a producer that is told neither yes nor no sends it again with its id."""
    async with pair.client() as client:
        await client.enqueue("note.write", Note(), durability="replicated")
        pair.replica.pause()
        with pytest.raises(OutcomeUnknownError, match=r"^unknown"):
            await client.enqueue("note.write", Note(), job_id="a", durability="replicated")
        with pytest.raises(BatchError, match="unknown"):
            await client.enqueue_many("note.write", [Note()], job_ids=["b"], durability="replicated")
        with pair.sync_client() as blocking, pytest.raises(OutcomeUnknownError, match=r"^unknown"):
            await asyncio.to_thread(
                blocking.enqueue, "note.write", Note(), job_id="c", durability="replicated"
            )
        assert (await client.enqueue("note.write", Note(), job_id="d")).created, (
            "who does not ask does not wait"
        )

        pair.replica.resume()
        again = await client.enqueue("note.write", Note(), job_id="a", durability="replicated")

    assert not again.created
    assert {"a", "b", "c", "d"} <= pair.ids()


async def test_enqueue_that_writes_nothing_still_waits_for_what_was_written_before(pair):
    """The job is there by another connection's call, whose reply was lost: that write is what must be confirmed."""
    async with pair.client() as first, pair.client() as second:
        await second.enqueue("note.write", Note(), durability="replicated")
        pair.replica.pause()
        await first.enqueue("note.write", Note(), job_id="a")
        with pytest.raises(OutcomeUnknownError, match=r"^unknown"):
            await second.enqueue("note.write", Note(), job_id="a", durability="replicated")


async def test_client_goes_on_sending_until_a_replica_confirms(pair):
    """A replica that is away for a moment is no reason to tell the producer."""
    pair.replica.pause()
    async with Client(open_store(parse_url(pair.primary.url)), pair.bed.plugins) as client:
        task = asyncio.create_task(client.enqueue("note.write", Note(), job_id="a", durability="replicated"))
        await pair.bed.until(lambda: pair.primary.client().hexists(JOBS, "a"))
        assert not task.done()
        pair.replica.resume()
        assert (await task).id == "a"
    assert "a" in pair.ids()


async def test_what_a_producer_may_not_do_or_mistypes_is_named(pair):
    """A wish that is not granted must not pass for one that is."""
    redis = pair.primary.client()
    redis.execute_command("ACL", "SETUSER", "few", "on", ">pw", "~*", "+@all", "-wait")
    async with pair.client(pair.primary.url.replace("//", "//few:pw@")) as client:
        with pytest.raises(StoreRefusedError, match="'wait'"):
            await client.enqueue("note.write", Note(), durability="replicated")
        with pytest.raises(PayloadError, match="durability is None or 'replicated'"):
            await client.enqueue("note.write", Note(), durability="yes")


async def test_refusal_is_told_as_it_is_without_a_replica(start_server):
    """A full queue took nothing, so there is nothing to be in doubt about."""
    small = Queue("note.write", Note, write, max_waiting=1)
    bed = Bed(start_server("valkey").url, [small])
    await bed.client.enqueue("note.write", Note())
    with pytest.raises(QueueFullError):
        await bed.client.enqueue("note.write", Note(), durability="replicated")
    await bed.close()
