"""How commands travel: one at a time over a connection of their own, with a deadline of ours.

The driver opens connections; its pool and its retries are not used: a command that failed or was cancelled half-way
closes its connection, so no answer can ever be taken for another's, and whether to send again is decided where the call
is known to be safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import redis.exceptions as driver
from redis.asyncio.connection import AbstractConnection

from jobrunner.errors import ClosedClientError, StoreError
from jobrunner.store.faults import translate
from jobrunner.store.forks import carried_over, home
from jobrunner.store.places import Places
from jobrunner.store.stream import Stream
from jobrunner.store.wire import Command, pack, pack_many

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
        self._places = Places(limit)
        self._closed = False
        self._home = home()

    async def send(self, command: Command, timeout: float = TIMEOUT_S) -> object:
        """Send one command and return its reply."""
        data = pack(command)
        stream = self._ready() or await self._get_ready()
        try:
            (reply,) = await stream.ask(data, 1, timeout)
        except _LOST as error:
            raise self._lost(stream, error, command) from error
        except BaseException:
            self._abandon(stream)
            raise
        self._give_back(stream)
        if isinstance(reply, driver.ResponseError):
            raise reply
        return reply

    async def send_many(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands together; a server's error stands in its place as an exception."""
        data = pack_many(commands)
        stream = self._ready() or await self._get_ready()
        try:
            replies = await stream.ask(data, len(commands), timeout)
        except _LOST as error:
            raise self._lost(stream, error, commands[0]) from error
        except BaseException:
            self._abandon(stream)
            raise
        self._give_back(stream)
        return replies

    async def send_in_row(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands over one connection, in this order."""
        return await self.send_many(commands, timeout)

    async def send_everywhere(self, command: Command, timeout: float = TIMEOUT_S) -> list[object]:
        """Send a command to the one server."""
        return [await self.send(command, timeout)]

    async def reset(self) -> None:
        """Close what is idle."""
        self._close_idle()

    async def close(self) -> None:
        """Close everything, and wait for the farewells that TLS sends: a loop that ends before them leaks sockets."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*[stream.closed() for stream in idle])

    def _ready(self) -> Stream | None:
        """A stream that stands, and a place; None where one of them must be waited for."""
        if not self._home[0]:
            raise carried_over()
        while self._idle:
            if not self._places.take():
                return None
            stream = self._idle.pop()
            if stream.is_open:
                return stream
            self._places.leave()
        return None

    async def _get_ready(self) -> Stream:
        """Wait for a place, and connect where no stream stands then."""
        if not self._places.take():
            await self._places.wait()
        try:
            while self._idle:
                stream = self._idle.pop()
                if stream.is_open:
                    return stream
            return await self._connect()
        except BaseException:
            self._places.leave()
            raise

    def _give_back(self, stream: Stream) -> None:
        self._idle.append(stream)
        if self._closed:  # while the command was under way
            self._close_idle()
        self._places.leave()

    def _lost(self, stream: Stream, error: Exception, command: Command) -> StoreError:
        """End a stream whose answer is lost, and the others, which are dead too, likely: the next finds a new primary."""
        self._abandon(stream)
        self._close_idle()
        return translate(error, str(command[0]), sent=True)

    def _abandon(self, stream: Stream) -> None:
        """End a stream with a command under way."""
        stream.abort()
        self._places.leave()

    def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for stream in idle:
            stream.close()

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
