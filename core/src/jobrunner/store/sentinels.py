"""Which server is the primary, by the Sentinels: asked anew for each connection, the one that answered last first.

It opens connections of its own and closes them. A server that was named is also asked for its role, since a
Sentinel may not have heard of a failover yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import redis.exceptions as driver
from redis.asyncio.connection import AbstractConnection
from redis.connection import AbstractConnection as SyncAbstractConnection

from jobrunner.errors import StoreError, StoreRefusedError, StoreUnavailableError
from jobrunner.store.faults import UNREADABLE, translate
from jobrunner.store.wire import pack

Node = tuple[str, int]
"""Host and port."""

_LOST = (driver.RedisError, OSError, TimeoutError, EOFError)


class Sentinels:
    """The Sentinels of a primary.

    Args:
        nodes: Where they are.
        master: The name by which they know the primary.
    """

    def __init__(self, nodes: Sequence[Node], master: str) -> None:
        self._nodes = list(nodes)
        self._master = master

    async def primary(self, connect: Callable[[Node], AbstractConnection]) -> Node:
        """Ask one after the other.

        Args:
            connect: Gives a connection to a Sentinel, not yet connected, with timeouts of its own.

        Raises:
            StoreUnavailableError: None of them answers.
            StoreRefusedError: They answer, and none knows the name; or they do not let us in.
        """
        last: StoreError | None = None
        for node in list(self._nodes):
            connection = connect(node)
            try:
                await connection.connect()
                await connection.send_packed_command([pack(self._question)], check_health=False)
                reply = await connection.read_response(disable_decoding=True)
            except _LOST as error:
                last = translate(error, "SENTINEL", sent=False)
                continue
            finally:
                await connection.disconnect(nowait=True)
            if (found := self._answered(reply, node)) is not None:
                return found
        raise self._nobody(last)

    def primary_now(self, connect: Callable[[Node], SyncAbstractConnection]) -> Node:
        """As `primary`, blocking."""
        last: StoreError | None = None
        for node in list(self._nodes):
            connection = connect(node)
            try:
                connection.connect()
                connection.send_packed_command([pack(self._question)], check_health=False)
                reply = connection.read_response(disable_decoding=True)
            except _LOST as error:
                last = translate(error, "SENTINEL", sent=False)
                continue
            finally:
                connection.disconnect()
            if (found := self._answered(reply, node)) is not None:
                return found
        raise self._nobody(last)

    @property
    def _question(self) -> tuple[str, ...]:
        return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._master)

    def _answered(self, reply: object, node: Node) -> Node | None:
        if not isinstance(reply, list) or len(reply) != 2:
            return None
        try:
            host, port = reply[0].decode(), int(reply[1])
        except UNREADABLE:  # it is no Sentinel; another one may be
            return None
        self._nodes.remove(node)
        self._nodes.insert(0, node)  # one that is down costs its timeout only once
        return host, port

    def _nobody(self, last: StoreError | None) -> StoreError:
        if last is None:
            return StoreRefusedError(
                f"the Sentinels know no primary named {self._master!r}; REDIS_URL names it after their hosts"
            )
        if isinstance(last, StoreRefusedError):
            return last
        names = ", ".join(f"{host}:{port}" for host, port in self._nodes)
        return StoreUnavailableError(f"no Sentinel of {names} names the primary: {last}")


def check_role(reply: object, node: Node) -> None:
    """Refuse a server that does not call itself the primary.

    Raises:
        StoreUnavailableError: It is a replica, and a failover is under way.
    """
    role = reply[0] if isinstance(reply, list) and reply else b""
    if role != b"master":
        raise StoreUnavailableError(
            f"{node[0]}:{node[1]} is no primary any more; the Sentinels will name another one"
        )
