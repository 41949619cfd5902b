"""The order in which a worker starts: its settings, its plugins' resources, its store."""

import asyncio
import contextlib
import io

import pytest

from jobrunner import SettingsError, StoreUnavailableError, hookimpl
from jobrunner.discovery import Found
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.settings import Settings
from jobrunner.store.address import parse_url
from jobrunner.worker.worker import Worker, WorkerOptions


@contextlib.asynccontextmanager
async def unreachable_store():
    """A port that takes connections and never says a word, with the number of those that came."""
    came = []
    held = asyncio.Event()

    async def hold(reader, writer):
        came.append(writer)
        held.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", held
        for writer in came:
            writer.close()


def resource_worker(url, queue, resources):
    """A worker of one queue whose plugin has these resources."""

    class Module:
        @hookimpl
        def jobrunner_queues(self):
            return [queue]

        @hookimpl
        def jobrunner_resources(self):
            return resources()

    plugins = Plugins([from_object(Module(), Found(name="one", target=""), {})])
    settings = Settings()
    return Worker(
        plugins, parse_url(url), settings, {}, WorkerOptions(), Logs(settings, io.StringIO()), listen=False
    )


async def test_wrong_setting_of_a_resource_is_told_before_the_store_is_reached(one_queue):
    """Who mistypes a setting hears of that, and not of a server that is not up yet either."""

    @contextlib.asynccontextmanager
    async def resources():
        raise SettingsError("JOBRUNNER_ONE_ENGINE", "no installed engine is named 'crad'")
        yield

    async with unreachable_store() as (url, came):
        worker = resource_worker(url, one_queue(), resources)
        with pytest.raises(SettingsError, match="no installed engine is named 'crad'"):
            await worker.run()
        assert not came.is_set()


async def test_resources_are_left_where_the_store_cannot_be_reached(one_queue):
    """A connection that a plugin has opened is closed again."""
    order = []

    @contextlib.asynccontextmanager
    async def resources():
        order.append("entered")
        try:
            yield object()
        finally:
            order.append("left")

    worker = resource_worker("redis://127.0.0.1:1/0", one_queue(), resources)
    with pytest.raises(StoreUnavailableError):
        await worker.run()
    assert order == ["entered", "left"]


async def test_stop_is_heeded_while_the_store_does_not_answer(one_queue):
    """A worker that waits for its store at the start ends at once, leaves its resources, and is no failure."""
    order = []

    @contextlib.asynccontextmanager
    async def resources():
        try:
            yield object()
        finally:
            order.append("left")

    async with unreachable_store() as (url, came):
        worker = resource_worker(url, one_queue(), resources)
        running = asyncio.create_task(worker.run())
        await came.wait()
        worker.shutdown.ask("SIGTERM")
        assert await running == 0
    assert order == ["left"]
