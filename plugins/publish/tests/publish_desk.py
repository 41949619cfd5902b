"""What the tests publish with: a desk that makes one attempt after another, as a job would, and its steps.

The durable steps are real ones, written as JSON and read back; only where they are kept is a dict. Where a
server must misbehave in ways that the sandbox does not, there is one that answers with given bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import msgspec

from jobrunner_publish import Account, Adapter, Context, Fetcher, Post, Published, PublishSettings

T = TypeVar("T")


class Clock:
    """The time that the sandbox and the desk share; it can be set ahead."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self.ahead_s


class Steps:
    """Durable steps of one account of one job: kept as JSON over attempts, a name used once in each."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self._used: set[str] = set()

    def begin_attempt(self) -> None:
        self._used.clear()

    async def remember(self, name: str, make: Callable[[], Awaitable[T]], /) -> T:
        assert name not in self._used, f"{name} was used twice in one attempt"
        self._used.add(name)
        if name not in self.stored:
            self.stored[name] = msgspec.json.encode(await make())
        kind: type[T] = typing.get_type_hints(make)["return"]
        return msgspec.json.decode(self.stored[name], type=kind)


class Desk:
    """One job's account on one platform: `publish` makes one attempt after another."""

    def __init__(
        self, *, http: httpx.AsyncClient, fetcher: Fetcher, settings: PublishSettings, clock: Clock
    ) -> None:
        self.http = http
        self.fetcher = fetcher
        self.settings = settings
        self.clock = clock
        self.steps = Steps()
        self.run = 0

    def change(self, **changes: object) -> None:
        self.settings = msgspec.structs.replace(self.settings, **changes)

    async def publish(self, adapter: Adapter, post: Post, account: Account) -> Published:
        self.run += 1
        self.steps.begin_attempt()
        context = Context(
            http=self.http,
            fetcher=self.fetcher,
            settings=self.settings,
            remember=self.steps.remember,
            run=self.run,
            now=self.clock.now,
        )
        return await adapter.publish(post, account, context)

    def another(self) -> Desk:
        """A desk for another job, with no memory of this one's steps."""
        return Desk(http=self.http, fetcher=self.fetcher, settings=self.settings, clock=self.clock)


class Canned:
    """A server that answers every connection with the same bytes, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = b""
        self.received: list[bytes] = []
        self.forever = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {"content-length": str(len(body)), "connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in named.items())]
        self.answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(65536))
        writer.write(self.answer)
        with contextlib.suppress(ConnectionError):  # the client had read enough
            await writer.drain()
        writer.close()


def make_post(
    *, body: str = "First batch of the winter roast.", media: int = 0, job_id: str = "job-1"
) -> Post:
    return Post(
        job_id=job_id,
        tenant_id="acme-retail",
        post_id="post-1",
        hook="One chair, 40 hours",
        body=body,
        hashtags=("coffee", "winter"),
        media_urls=tuple(f"https://cdn.example.com/acme/{number}.jpg" for number in range(media)),
    )
