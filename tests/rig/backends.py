"""The stores that a test can run on, fakeredis and real servers, behind the few things that such a test needs."""

from typing import Literal

import fakeredis
import redis
import redis.asyncio

from rig.servers import Server
from rig.topologies import Cluster

BackendName = Literal["fakeredis", "valkey", "redis", "cluster"]
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


class ClusterBackend:
    """A cluster that several tests use in turn, emptied before each; its clients speak to one queue's node."""

    name: BackendName = "cluster"

    def __init__(self, cluster: Cluster, tag: str = "q") -> None:
        self.cluster = cluster
        self._tag = tag

    @property
    def url(self) -> str:
        """The cluster's address."""
        return self.cluster.url

    @property
    def node(self) -> Server:
        """The node of the queue."""
        return self.cluster.owner(self.cluster.slot(f"{{{self._tag}}}"))

    def client(self) -> redis.Redis:
        """Make a blocking client of the queue's node, closed with it."""
        return self.node.client()

    def async_client(self) -> redis.asyncio.Redis:
        """Make an asyncio client of the queue's node; the caller closes it."""
        return self.node.async_client()


Backend = FakeBackend | RealBackend | ClusterBackend
