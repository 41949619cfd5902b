"""A late resource: opened by the first who asks, once, and closed with the worker."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest

from jobrunner import Job, Late, Queue, hookimpl
from jobrunner.testing import Harness


class Book:
    """What happened to a resource."""

    def __init__(self):
        self.events = []
        self.failures = 0
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    @asynccontextmanager
    async def open(self):
        self.events.append("opening")
        self.begun.set()
        await self.go_on.wait()
        if self.failures:
            self.failures -= 1
            raise OSError("away")
        yield "resource"
        self.events.append("closed")


async def test_resource_is_opened_by_the_first_who_asks_and_closed_at_the_end():
    """A worker that waits for jobs carries nothing that it does not need."""
    book = Book()
    async with Late(book.open) as late:
        assert book.events == []
        assert await late.get() is await late.get()
        assert book.events == ["opening"]
    assert book.events == ["opening", "closed"]


async def test_resource_that_nobody_asked_for_is_never_opened():
    """A worker's end must not open what its life did not need."""
    book = Book()
    async with Late(book.open):
        pass
    assert book.events == []


async def test_those_who_ask_at_the_same_moment_share_one():
    """The first jobs of a worker come together."""
    book = Book()
    book.go_on.clear()
    async with Late(book.open) as late:
        asked = [asyncio.create_task(late.get()) for _ in range(5)]
        await book.begun.wait()
        book.go_on.set()
        assert await asyncio.gather(*asked) == ["resource"] * 5
    assert book.events == ["opening", "closed"]


async def test_failed_opening_is_told_and_tried_again_by_the_next():
    """A database that is away for a minute costs some attempts, and no restart of the worker."""
    book = Book()
    book.failures = 1
    async with Late(book.open) as late:
        with pytest.raises(OSError, match="away"):
            await late.get()
        assert await late.get() == "resource"
    assert book.events == ["opening", "opening", "closed"]


async def test_asker_that_is_cancelled_leaves_it_to_the_next():
    """The first job's timeout must not break the resource for all later ones."""
    book = Book()
    book.go_on.clear()
    async with Late(book.open) as late:
        first = asyncio.create_task(late.get())
        await book.begun.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        book.go_on.set()
        assert await late.get() == "resource"


class Parcel(msgspec.Struct):
    number: int


async def test_job_gets_its_plugins_late_resource():
    """What the how-to page shows, end to end."""
    book = Book()

    async def ship(job: Job[Parcel]) -> str:
        late: Late[str] = job.resource(Late)
        return await late.get()

    class Plugin:
        @staticmethod
        @hookimpl
        def jobrunner_queues():
            return [Queue("parcel.ship", Parcel, ship)]

        @staticmethod
        @hookimpl
        def jobrunner_resources():
            return Late(book.open)

    async with Harness(Plugin()) as harness:
        handle = await harness.enqueue("parcel.ship", Parcel(number=1))
        assert book.events == []
        await harness.drain()
        assert harness.job(handle).result == "resource"
    assert book.events == ["opening", "closed"]
