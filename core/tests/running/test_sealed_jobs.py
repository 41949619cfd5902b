"""Jobs whose payloads are sealed, from a producer through the store to a handler and to who looks at them."""

import base64
import json
import os
import subprocess
import sys
from typing import Annotated

import msgspec
import pytest
from rig.backends import ClusterBackend

from jobrunner import ConflictError, Queue, Secret
from jobrunner.store import calls

TOKEN = "open sesame, at once"


class Login(msgspec.Struct, rename="camel", kw_only=True):
    tenant_id: str = "t1"
    name: str
    token: Annotated[str, Secret]


class Plain(msgspec.Struct, rename="camel", kw_only=True):
    name: str


def key(name, byte):
    return f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}"


OLD, NEW = key("2026a", 1), key("2026b", 2)


def keys(*texts):
    return {"JOBRUNNER_ENCRYPTION_KEYS": ",".join(texts)}


def login(name):
    return {"name": name, "token": TOKEN}


async def log_in(job):
    assert job.payload.token == TOKEN
    return f"hello {job.payload.name}"


def queues():
    return [Queue("login.do", Login, log_in), Queue("plain.do", Plain, log_in)]


@pytest.fixture
def stored(store_server):
    """Return a function: all that the store holds, as text."""
    ways = {
        "hash": lambda redis, name: redis.hgetall(name),
        "zset": lambda redis, name: redis.zrange(name, 0, -1),
        "list": lambda redis, name: redis.lrange(name, 0, -1),
        "stream": lambda redis, name: redis.xrange(name),
        "string": lambda redis, name: redis.get(name),
    }

    nodes = store_server.cluster.primaries() if isinstance(store_server, ClusterBackend) else [store_server]

    def read():
        return "\n".join(
            repr((name, ways[redis.type(name).decode()](redis, name)))
            for redis in (node.client() for node in nodes)
            for name in redis.keys("*")
        )

    return read


async def test_sealed_job_runs_and_the_store_never_sees_its_payload(bed, stored):
    """Credentials in a backup, a replica or a `MONITOR` are credentials that are lost."""
    scene = bed(*queues(), environ=keys(NEW))
    handle = await scene.client.enqueue("login.do", login("mia"))
    many = await scene.client.enqueue_many("login.do", [login(f"n{n}") for n in range(5)])
    waiting = stored()
    assert await scene.burst() == 0

    assert await handle.result(timeout=5) == "hello mia"
    assert [await one.result(timeout=5) for one in many] == [f"hello n{n}" for n in range(5)]
    assert TOKEN not in waiting + stored()
    assert "mia" not in waiting
    shown = await scene.admin.job("login.do", handle.id)
    assert shown.payload == {"tenantId": "t1", "name": "mia", "token": "***"}


async def test_queue_without_secrets_is_not_sealed(bed, stored):
    """Who debugs a queue of numbers sees its numbers."""
    scene = bed(*queues(), environ=keys(NEW))
    await scene.client.enqueue("plain.do", {"name": "mia"})
    assert '"name":"mia"' in stored()


async def test_unique_key_of_a_sealed_payload_is_not_to_be_read(bed, stored):
    """It is a field of the payload, most of the time."""
    scene = bed(*queues(), environ=keys(NEW))
    first = await scene.client.enqueue("login.do", login("mia"), unique="mia@example.org")
    again = await scene.client.enqueue("login.do", login("mia"), unique="mia@example.org")

    assert (first.created, again.created, again.id) == (True, False, first.id)
    assert "mia@example" not in stored()


async def test_same_id_and_payload_is_one_job_before_and_after_a_rotation(bed):
    """A producer that tries again does not know that keys were changed meanwhile."""
    before, after = bed(*queues(), environ=keys(OLD)), bed(*queues(), environ=keys(NEW, OLD))
    first = await before.client.enqueue("login.do", login("mia"), job_id="j1")
    again = await after.client.enqueue("login.do", login("mia"), job_id="j1")
    with pytest.raises(ConflictError):
        await after.client.enqueue("login.do", login("ben"), job_id="j1")

    assert (first.created, again.created) == (True, False)
    assert await after.burst() == 0
    assert await again.result(timeout=5) == "hello mia"


async def test_job_waits_parked_for_a_worker_that_has_its_key(bed):
    """A worker that was forgotten in a rotation must not fail a thousand jobs."""
    producer, forgotten = bed(*queues(), environ=keys(NEW)), bed(*queues())
    handle = await producer.client.enqueue("login.do", login("mia"))
    async with forgotten.running():
        await forgotten.until(lambda: forgotten.lines("job.parked"))
    parked = forgotten.lines("job.parked")[0]
    shown = await forgotten.admin.job("login.do", handle.id)
    async with producer.running():
        assert await handle.result(timeout=30) == "hello mia"

    assert "the key '2026b'" in parked["reason"]
    assert shown.state == "parked"
    assert shown.payload.startswith("*** (the payload is sealed with the key '2026b'")


async def test_job_whose_payload_was_changed_in_the_store_fails_at_once(bed):
    """It is nobody's wish, and trying again makes it nobody's wish again."""
    scene = bed(*queues(), environ=keys(NEW))
    moved = await scene.client.enqueue("login.do", login("mia"))
    other = await scene.client.enqueue("login.do", login("ben"))
    key = scene.store.keys("login.do")["jobs"]
    record = await scene.store.run(calls.command("HGET", key, other.id))
    await scene.store.run(calls.command("HSET", key, moved.id, record))
    assert await scene.burst() == 0

    assert await other.result(timeout=5) == "hello ben"
    failed = await scene.admin.job("login.do", moved.id)
    assert failed.state == "failed"
    assert "cannot be opened" in scene.lines("job.failed")[0]["error"]


VAULT = """
from typing import Annotated
import msgspec
from jobrunner import Queue, Secret, SyncJob, hookimpl

class Login(msgspec.Struct):
    token: Annotated[str, Secret]

def work(job: SyncJob[Login]) -> int:
    return len(job.payload.token)

@hookimpl
def jobrunner_queues():
    return [Queue("vault.open", Login, work, executor="process")]
"""


@pytest.mark.long
def test_process_of_its_own_opens_what_was_sealed(shared_server, tmp_path):
    """It has the worker's keys by its environment, as a command line has."""
    server = shared_server("valkey")
    server.client().flushall()
    plugin = tmp_path / "vault.py"
    plugin.write_text(VAULT)
    environ = os.environ | {"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": str(plugin)} | keys(NEW)

    def command(*words):
        script = [sys.executable, "-m", "jobrunner", *words]
        return subprocess.run(script, env=environ, capture_output=True, text=True, check=True).stdout

    command("enqueue", "vault.open", f'{{"token": "{TOKEN}"}}', "--id", "j1")
    sealed = server.client().hget("jr:{vault.open}:jobs", "j1")
    command("run", "--burst")

    assert b'"sealed:1:2026b:' in sealed
    assert json.loads(command("jobs", "show", "vault.open", "j1", "--json"))["result"] == len(TOKEN)
