"""The stores that a test can run on, fakeredis and real servers, behind the few things that such a test needs."""

from typing import Literal

import fakeredis
import redis
import redis.asyncio

from rig.servers import Server

BackendName = Literal["fakeredis", "valkey", "redis"]
BACKENDS: tuple[BackendName, ...] = ("fakeredis", "valkey", "redis")


class FakeBackend:
    """An in-memory store in this process; `fake` is what its clients share."""

    name: BackendName = "fakeredis"
    url: str | None = None

    def __init__(self) -> None:
        self.fake = fakeredis.FakeServer(version=(7, 0))

    def client(self) -> redis.Redis:
        """Make a blocking client."""
        return fakeredis.FakeRedis(server=self.fake)

    def async_client(self) -> redis.asyncio.Redis:
        """Make an asyncio client; the caller closes it."""
        return fakeredis.FakeAsyncRedis(server=self.fake)


class RealBackend:
    """A real server that several tests use in turn, emptied before each; `server` is the process."""

    def __init__(self, name: BackendName, server: Server) -> None:
        self.name = name
        self.server = server

    @property
    def url(self) -> str:
        """The server's address."""
        return self.server.url

    def client(self) -> redis.Redis:
        """Make a blocking client, closed with the server."""
        return self.server.client()

    def async_client(self) -> redis.asyncio.Redis:
        """Make an asyncio client; the caller closes it."""
        return self.server.async_client()


Backend = FakeBackend | RealBackend
