"""A worker in this process, on a real server, with queues that the test declares."""

import asyncio
import contextlib
import io
import json

import pytest

from jobrunner import Client, hookimpl
from jobrunner.admin import Admin
from jobrunner.discovery import Found
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.sealing import Keyring
from jobrunner.settings import core_settings
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_store
from jobrunner.worker.worker import Worker, WorkerOptions


class Bed:
    """Queues, a producer, and workers of them."""

    def __init__(self, url, queues, *, resources=None, environ=None):
        self.address = parse_url(url)
        self.environ = {"JOBRUNNER_LOG_FORMAT": "json", "JOBRUNNER_LOG_LEVEL": "debug"} | (environ or {})
        self.settings = core_settings(self.environ)

        class Module:
            @staticmethod
            @hookimpl
            def jobrunner_queues():
                return queues

        if resources is not None:
            Module.jobrunner_resources = staticmethod(hookimpl(resources))
        self.plugins = Plugins(
            [from_object(Module, Found(name="bed", target="here"), self.environ)],
            keyring=Keyring(self.settings.encryption_keys),
        )
        self.stream = io.StringIO()
        self.store = open_store(self.address)
        self.client = Client(self.store, self.plugins)
        self.admin = Admin(self.store, self.plugins)

    def worker(self, **options):
        options.setdefault("grace", 0.2)
        return Worker(
            self.plugins,
            self.address,
            self.settings,
            self.environ,
            WorkerOptions(**options),
            Logs(self.settings, self.stream),
            listen=False,
        )

    async def burst(self, **options):
        return await self.worker(burst=True, **options).run()

    @contextlib.asynccontextmanager
    async def running(self, **options):
        worker = self.worker(**options)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.shutdown.ask("the test is over")
            await asyncio.wait_for(task, 20)

    def lines(self, event=None):
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in found if event is None or line["event"] == event]

    async def until(self, condition, *, what="it", timeout_s=20.0):
        async with asyncio.timeout(timeout_s):
            while True:
                answer = condition()
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer:
                    return
                await asyncio.sleep(0.02)

    async def state(self, handle):
        return (await self.admin.job(handle.queue, handle.id)).state

    async def close(self):
        await self.client.close()


@pytest.fixture
async def bed(store_server):
    made = []

    def make(*queues, **more):
        made.append(Bed(store_server.url, list(queues), **more))
        return made[-1]

    yield make
    for one in made:
        await one.close()
