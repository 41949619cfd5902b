"""How commands travel: one at a time over a connection of their own, with a deadline of ours.

The driver opens connections; its pool and its retries are not used: a command that failed or was cancelled half-way
closes its connection, so no answer can ever be taken for another's, and whether to send again is decided where the call
is known to be safe.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import redis.exceptions as driver
from redis.asyncio.connection import AbstractConnection

from jobrunner.errors import ClosedClientError, StoreError
from jobrunner.store.faults import translate
from jobrunner.store.stream import Stream
from jobrunner.store.wire import Command, pack_many

TIMEOUT_S = 8.0
"""Seconds that a command may take, many times what the slowest one needs, before its answer counts as lost."""

CONNECTIONS = 32
"""Connections that one link opens at the most; further callers wait for one."""


_LOST = (driver.RedisError, OSError, TimeoutError, EOFError)
"""What a connection raises when its answer is lost. Whatever else comes, such as a cancellation, is not ours to name."""


class Link(Protocol):
    """A way to the store."""

    async def send(self, command: Command, timeout: float = TIMEOUT_S) -> object:
        """Send one command and return its reply.

        Raises:
            StoreError: It failed; the class says whether it can have happened.
            redis.exceptions.ResponseError: The server answered with an error.
        """
        ...

    async def send_many(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands together; a server's error stands in its place as an exception."""
        ...

    async def send_in_row(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands over one connection, in this order; errors as for `send_many`."""
        ...

    async def send_everywhere(self, command: Command, timeout: float = TIMEOUT_S) -> list[object]:
        """Send a command without keys to every primary and return their replies; raises as `send`."""
        ...

    async def reset(self) -> None:
        """Close what is idle, so that the next command opens a connection anew."""
        ...

    async def close(self) -> None:
        """Close everything; the link cannot be used any more."""
        ...


class ConnectionLink:
    """A link over connections of its own. Used on one event loop only.

    Args:
        make: Gives a fresh connection, not yet connected; asked again after each failure, so that a new primary
            is found.
        limit: Connections at the most.
    """

    def __init__(self, make: Callable[[], Awaitable[AbstractConnection]], limit: int = CONNECTIONS) -> None:
        self._make = make
        self._idle: list[Stream] = []
        self._places = asyncio.Semaphore(limit)
        self._closed = False
        self._pid = os.getpid()

    async def send(self, command: Command, timeout: float = TIMEOUT_S) -> object:
        """Send one command and return its reply."""
        (reply,) = await self.send_many((command,), timeout)
        if isinstance(reply, driver.ResponseError):
            raise reply
        return reply

    async def send_many(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands together; a server's error stands in its place as an exception."""
        data = pack_many(commands)
        async with self._places:
            stream = self._ready() or await self._connect()
            try:
                replies = await stream.ask(data, len(commands), timeout)
            except _LOST as error:
                stream.abort()
                await self.reset()  # the others are dead too, likely, and the next should find a new primary
                raise translate(error, str(commands[0][0]), sent=True) from error
            except BaseException:
                stream.abort()  # cancelled: nothing is wrong with the others
                raise
            self._idle.append(stream)
            if self._closed:
                await self.reset()  # closed while the command was under way
            return replies

    async def send_in_row(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands over one connection, in this order."""
        return await self.send_many(commands, timeout)

    async def send_everywhere(self, command: Command, timeout: float = TIMEOUT_S) -> list[object]:
        """Send a command to the one server."""
        return [await self.send(command, timeout)]

    async def reset(self) -> None:
        """Close what is idle."""
        idle, self._idle = self._idle, []
        for stream in idle:
            stream.close()

    async def close(self) -> None:
        """Close everything, and wait for the farewells that TLS sends: a loop that ends before them leaks sockets."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*[stream.closed() for stream in idle])

    def _ready(self) -> Stream | None:
        if os.getpid() != self._pid:
            raise ClosedClientError("this client was carried over a fork; make a new one in this process")
        while self._idle:
            stream = self._idle.pop()
            if stream.is_open:
                return stream
        return None

    async def _connect(self) -> Stream:
        if self._closed:
            raise ClosedClientError("this connection to the store was closed; make a new client")
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await Stream.over(await self._make())
        except Exception as error:
            if isinstance(error, StoreError):
                raise
            raise translate(error, "connect", sent=False) from error


class ClientLink:
    """A link over a client of the driver, such as that of an in-memory server.

    Args:
        execute: The client's `execute_command`.
        close: The client's `aclose`.
    """

    def __init__(
        self, execute: Callable[..., Awaitable[object]], close: Callable[[], Awaitable[None]]
    ) -> None:
        self._execute = execute
        self._close = close

    async def send(self, command: Command, timeout: float = TIMEOUT_S) -> object:
        """Send one command and return its reply."""
        try:
            async with asyncio.timeout(timeout):
                return await self._execute(*command)
        except driver.ResponseError:
            raise
        except (driver.RedisError, OSError, TimeoutError) as error:
            raise translate(error, str(command[0]), sent=True) from error

    async def send_many(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands one after the other."""
        replies: list[object] = []
        for command in commands:
            try:
                replies.append(await self.send(command, timeout))
            except driver.ResponseError as error:
                replies.append(error)
        return replies

    async def send_in_row(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands over one connection, in this order."""
        return await self.send_many(commands, timeout)

    async def send_everywhere(self, command: Command, timeout: float = TIMEOUT_S) -> list[object]:
        """Send a command to the one server."""
        return [await self.send(command, timeout)]

    async def reset(self) -> None:
        """Nothing to do: the client finds its own way."""

    async def close(self) -> None:
        """Close the client."""
        await self._close()
