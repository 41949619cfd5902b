"""`Harness`: the worker's own consumers over a store in memory, under a clock that moves when the test says so."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from jobrunner import (
    ConflictError,
    Job,
    JobrunnerError,
    PayloadError,
    Queue,
    SyncJob,
    UnknownQueueError,
    hookimpl,
)
from jobrunner.events import Event, JobCompleted, JobEnqueued, JobStarted
from jobrunner.testing import Harness, VirtualClock

START = datetime(2030, 1, 1, tzinfo=UTC)


class Note(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    tenant_id: str = "t1"
    text: str = "a"


def queue(handler, name: str = "note.send", **options) -> Queue:
    return Queue(name, Note, handler, **options)


async def echo(job: Job[Note]) -> str:
    return job.payload.text


# ---- what there is to look at ------------------------------------------------------------------------------------


async def test_job_shows_what_its_handler_said() -> None:
    """Steps, progress, log lines and errors, after the round trip through the store."""

    def handler(job: SyncJob[Note]) -> None:
        job.step("one", lambda: {"n": 1})
        job.progress(0.5, "half")
        job.log.warning("note.sent", size=3)
        raise ValueError("no")

    async with Harness(queue(handler)) as harness:
        handle = await harness.enqueue("note.send", {})
        await harness.drain()

        job = harness.job(handle)

        assert (job.steps, job.progress) == ({"one": {"n": 1}}, (0.5, "half"))
        assert [(line["event"], line["level"], line["size"]) for line in job.logs] == [
            ("note.sent", "warning", 3)
        ]
        assert [(error.error_type, error.message) for error in job.errors] == [("ValueError", "no")]


async def test_jobs_are_found_by_queue_and_state() -> None:
    """In the order of the names, then of the states."""
    async with Harness(queue(echo, "b.q"), queue(echo, "a.q")) as harness:
        done = await harness.enqueue("b.q", {})
        await harness.drain()
        later = await harness.enqueue("b.q", {}, delay=5)
        other = await harness.enqueue("a.q", {})

        def ids(*asked: str) -> list[str]:
            return [job.id for job in harness.jobs(*asked)]

        assert ids() == [other.id, later.id, done.id]
        assert (ids("b.q"), ids("b.q", "completed"), ids("a.q", "failed")) == (
            [later.id, done.id],
            [done.id],
            [],
        )
        with pytest.raises(ValueError, match="'done' is not a valid State"):
            harness.jobs("b.q", "done")


async def test_events_are_kept_in_order_and_by_type() -> None:
    """Those of producers and workers alike, under the virtual clock."""
    async with Harness(queue(echo), start=START) as harness:
        await harness.enqueue("note.send", {})
        await harness.advance("1h")

        assert [type(event) for event in harness.events] == [JobEnqueued, JobStarted, JobCompleted]
        assert [event.timestamp for event in harness.events_of(JobCompleted)] == [START.timestamp()]


# ---- the plugin's parts ------------------------------------------------------------------------------------------


class Plugin:
    """A plugin as an object with hooks."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.opened = 0
        self.closed = 0

    class Settings(msgspec.Struct, frozen=True, kw_only=True):
        greeting: str = "Hello"

    @hookimpl
    def jobrunner_settings(self) -> type[Settings]:
        return self.Settings

    @hookimpl
    def jobrunner_queues(self, settings: Settings) -> list[Queue]:
        async def handler(job: Job[Note]) -> str:
            return f"{settings.greeting} {job.resource(str)}"

        return [queue(handler, route="notes/send")]

    @hookimpl
    @asynccontextmanager
    async def jobrunner_resources(self) -> AsyncIterator[str]:
        self.opened += 1
        yield "world"
        self.closed += 1

    @hookimpl
    def jobrunner_event(self, event: Event) -> None:
        self.heard.append(type(event).__name__)


async def test_plugin_is_run_whole() -> None:
    """Settings, resources made once and left, its own observer, and the client's factory."""
    plugin = Plugin()

    async with Harness(plugin, settings={"greeting": "Bye"}) as harness:
        handles = [await harness.client.notes.send(text=text) for text in "ab"]
        await harness.drain()
        assert (plugin.opened, plugin.closed) == (1, 0)

    assert [harness.plugins.queue("note.send").route, len(handles)] == ["notes/send", 2]
    assert plugin.closed == 1
    assert plugin.heard == [
        "JobEnqueued",
        "JobEnqueued",
        "JobStarted",
        "JobStarted",
        "JobCompleted",
        "JobCompleted",
    ]


async def test_resources_of_the_test_stand_in_for_all() -> None:
    """By type; the plugin's own are not made."""
    plugin = Plugin()

    async with Harness(plugin, resources={str: "stand-in"}) as harness:
        handle = await harness.enqueue("note.send", {})
        await harness.drain()

        assert (harness.job(handle).result, plugin.opened) == ("Hello stand-in", 0)


async def test_producers_are_refused_as_in_production() -> None:
    """The client is the real one."""
    async with Harness(queue(echo)) as harness:
        await harness.enqueue("note.send", {"text": "a"}, job_id="j1")

        again = await harness.enqueue("note.send", {"text": "a"}, job_id="j1")

        assert again.created is False
        with pytest.raises(ConflictError):
            await harness.enqueue("note.send", {"text": "b"}, job_id="j1")
        with pytest.raises(PayloadError, match="text"):
            await harness.enqueue("note.send", {"text": 5})
        with pytest.raises(UnknownQueueError):
            await harness.enqueue("note.sent", {})


async def test_code_that_does_not_await_enqueues_too() -> None:
    """Through the sync client of the same store, from any thread."""
    async with Harness(queue(echo)) as harness:
        handle = await asyncio.to_thread(harness.sync_client.enqueue, "note.send", {"text": "from a thread"})
        await harness.drain()

        assert handle.result(timeout=1) == "from a thread"
        assert harness.job(handle).state == "completed"


async def test_handler_may_take_the_clock_as_a_resource() -> None:
    """A handler that waits by it waits in virtual time."""
    clock, begun = VirtualClock(), asyncio.Event()

    async def handler(job: Job[Note]) -> str:
        begun.set()
        await job.resource(VirtualClock).sleep(3600)
        return "slept"

    async with Harness(queue(handler, timeout=7200), clock=clock, resources={VirtualClock: clock}) as harness:
        handle = await harness.enqueue("note.send", {})
        draining = asyncio.create_task(harness.drain())
        await begun.wait()
        await harness.advance("59m")
        assert harness.job(handle).state == "active"

        await harness.advance("1m")
        await draining

        assert harness.job(handle).result == "slept"


# ---- misuse ------------------------------------------------------------------------------------------------------


async def test_harness_that_is_not_open_says_so() -> None:
    """In one line that names the way."""
    harness = Harness(queue(echo))
    with pytest.raises(JobrunnerError, match="async with Harness"):
        await harness.drain()
    async with harness:
        await harness.drain()


async def test_two_drains_at_once_are_refused() -> None:
    """They would be two workers, and neither would know when it is done."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(job: Job[Note]) -> None:
        begun.set()
        await go_on.wait()

    async with Harness(queue(handler)) as harness:
        await harness.enqueue("note.send", {})
        draining = asyncio.create_task(harness.drain())
        await begun.wait()

        with pytest.raises(JobrunnerError, match="at work already"):
            await harness.drain()

        go_on.set()
        assert await draining == 1


@pytest.mark.parametrize("missing", ["fakeredis", "lupa"])
def test_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who installed the core alone is told what to install."""
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(
        JobrunnerError, match=rf"{missing} is missing: pip install 'jobrunner-core\[testing\]'"
    ):
        Harness(queue(echo))
