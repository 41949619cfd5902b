"""A whole worker in this process, on a real server: what it is given, what it says, and what it leaves in the store."""

import asyncio
import contextlib
import io
import json

import msgspec
import pytest
import redis

from jobrunner import Client, Job, Queue, RetryPolicy, hookimpl
from jobrunner.admin import Admin
from jobrunner.discovery import Found
from jobrunner.events import JobFailed, WorkerStarted, event_name
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object, load
from jobrunner.settings import Settings
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store
from jobrunner.worker import attempt, children, consumer
from jobrunner.worker.worker import Worker, WorkerOptions

PATIENCE_S = 30.0
"""Seconds after which a test gives up on something that should have happened long ago."""

ONCE = RetryPolicy(max_attempts=1)


class Task(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    tenant_id: str = "t1"
    number: int = 0
    how: str = ""


class Witness:
    """A plugin that keeps every event, and lets a test wait for one."""

    def __init__(self):
        self.events = []
        self.also = None
        """Called with each event, where it was told."""
        self._waiting = []

    @hookimpl
    def jobrunner_event(self, event):
        self.events.append(event)
        if self.also is not None:
            self.also(event)
        for news in self._waiting:
            news.set()

    def of(self, kind, **fields):
        return [
            event
            for event in self.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in fields.items())
        ]

    async def until(self, kind, count=1, **fields):
        """Wait until `count` events of a kind were told; the last of them."""
        news = asyncio.Event()
        self._waiting.append(news)
        try:
            async with asyncio.timeout(PATIENCE_S):
                while len(self.of(kind, **fields)) < count:
                    await news.wait()
                    news.clear()
        except TimeoutError:
            seen = [(event_name(type(event)), getattr(event, "job_id", "")) for event in self.events[-20:]]
            raise AssertionError(f"no {event_name(kind)} {fields} in {seen}") from None
        finally:
            self._waiting.remove(news)
        return self.of(kind, **fields)[count - 1]


class Running:
    """A worker that runs, and what a test does with it."""

    def __init__(self, worker, witness, client, stream):
        self.worker = worker
        self.witness = witness
        self.client = client
        self.admin = Admin(client.store, worker.plugins)
        self.ended = asyncio.create_task(worker.run())
        self._stream = stream

    async def enqueue(self, queue="task.do", **more):
        names = ("delay", "priority", "job_id", "tenant", "headers")
        options = {name: more.pop(name) for name in names if name in more}
        return await self.client.enqueue(queue, more, **options)

    async def until(self, kind, count=1, **fields):
        return await self.witness.until(kind, count, **fields)

    async def failure(self, handle):
        return await self.until(JobFailed, job_id=handle.id)

    async def look(self, handle):
        return await self.admin.job(handle.queue, handle.id)

    async def state(self, handle):
        return (await self.look(handle)).state

    async def until_stats(self, condition, queue="task.do"):
        """Look at a queue's numbers until they are as they should be."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                stats = (await self.admin.stats([queue]))[0]
                if condition(stats):
                    return stats
                await asyncio.sleep(0.02)

    def lines(self, event):
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def stop(self):
        self.worker.shutdown.ask("the test ended")
        async with asyncio.timeout(PATIENCE_S):
            return await self.ended


class Shop:
    """A plugin of some queues."""

    def __init__(self, queues):
        self._queues = queues

    @hookimpl
    def jobrunner_queues(self):
        return list(self._queues)


@pytest.fixture
def store_url(store_server):
    """One kind of server is enough: the scripts are tested on all of them elsewhere."""
    return store_server.url


def raw_client(url):
    """A client of the driver for looking into the store, or planting something there."""
    address = parse_url(url)
    if address.kind == "cluster":
        host, port = address.hosts[0]
        return redis.RedisCluster(host=host, port=port)
    return redis.Redis.from_url(url)


@pytest.fixture
def at_work(store_url):
    """Return a context manager: a worker of some queues, or of a plugin's file."""

    @contextlib.asynccontextmanager
    async def work(*queues, file=None, url=store_url, **options):
        witness, stream = Witness(), io.StringIO()
        if file is not None:
            plugins = list(load((str(file),), {}))
            options["plugin_names"] = (str(file),)
        else:
            plugins = [from_object(Shop(queues), Found(name="shop", target=""), {})]
        made = Plugins([*plugins, from_object(witness, Found(name="witness", target=""), {})])
        settings = Settings(log_level="debug", log_format="json")
        options = WorkerOptions(**{"grace": 5.0, **options})
        logs = Logs(settings, stream)
        worker = Worker(made, parse_url(url), settings, {}, options, logs, listen=False)
        async with Client(open_store(parse_url(store_url)), made) as client:
            running = Running(worker, witness, client, stream)
            started = asyncio.create_task(running.until(WorkerStarted))
            await asyncio.wait([started, running.ended], return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            try:
                yield running
            finally:
                await running.stop()

    return work


@pytest.fixture
def impatient(monkeypatch):
    """Handlers that were told to stop are left behind after half a second, not after five."""
    for module in (attempt, consumer, children):
        monkeypatch.setattr(module, "STOP_WAIT_S", 0.5)


async def echo(job: Job[Task]) -> int:
    return job.payload.number


@pytest.fixture
def one_queue():
    """Return a function that makes the queue `task.do` of a handler."""

    def make(handler=echo, name="task.do", **options):
        options = {"retry": ONCE, "lease": 1.0} | options
        return Queue(name, Task, handler, **options)

    return make
