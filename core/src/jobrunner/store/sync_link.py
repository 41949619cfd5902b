"""How commands travel for those who do not await: as `link`, over blocking connections. Thread-safe."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Protocol

import redis.exceptions as driver
from redis.connection import AbstractConnection

from jobrunner.errors import ClosedClientError, StoreError
from jobrunner.store.faults import translate
from jobrunner.store.forks import carried_over, home
from jobrunner.store.link import CONNECTIONS
from jobrunner.store.sync_stream import SyncStream
from jobrunner.store.wire import Command, pack, pack_many

_LOST = (driver.RedisError, OSError, EOFError)
"""What a connection raises when its answer is lost."""


class SyncLink(Protocol):
    """A way to the store."""

    def send(self, command: Command) -> object:
        """Send one command and return its reply; raises as `Link.send`."""
        ...

    def send_many(self, commands: Sequence[Command]) -> list[object]:
        """Send commands together; a server's error stands in its place as an exception."""
        ...

    def send_in_row(self, commands: Sequence[Command]) -> list[object]:
        """Send commands over one connection, in this order; errors as for `send_many`."""
        ...

    def reset(self) -> None:
        """Close what is idle."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


class SyncConnectionLink:
    """A link over blocking connections of its own; the deadline is each connection's socket timeout.

    Args:
        make: Gives a fresh connection, not yet connected.
        limit: Connections at the most.
    """

    def __init__(self, make: Callable[[], AbstractConnection], limit: int = CONNECTIONS) -> None:
        self._make = make
        self._idle: list[SyncStream] = []
        self._places: queue.SimpleQueue[None] = (
            queue.SimpleQueue()
        )  # a semaphore; those of `threading` cost as much as an id
        for _ in range(limit):
            self._places.put(None)
        self._closed = False
        self._home = home()

    def send(self, command: Command) -> object:
        """Send one command and return its reply."""
        (reply,) = self._ask(pack(command), 1, command)
        if isinstance(reply, driver.ResponseError):
            raise reply
        return reply

    def send_many(self, commands: Sequence[Command]) -> list[object]:
        """Send commands together; a server's error stands in its place as an exception."""
        return self._ask(pack_many(commands), len(commands), commands[0])

    def send_in_row(self, commands: Sequence[Command]) -> list[object]:
        """Send commands over one connection, in this order."""
        return self.send_many(commands)

    def reset(self) -> None:
        """Close what is idle."""
        while True:
            try:
                stream = self._idle.pop()  # atomic, as in `_take`: whoever has it, has it alone
            except IndexError:
                return
            stream.close()

    def close(self) -> None:
        """Close everything."""
        self._closed = True
        self.reset()

    def _ask(self, data: bytes, number: int, first: Command) -> list[object]:
        self._places.get()
        try:
            stream = self._take()
            try:
                replies = stream.ask(data, number)
            except _LOST as error:
                stream.close()
                self.reset()  # the others are likely to be dead too, and the next one should find a new primary
                raise translate(error, str(first[0]), sent=True) from error
            except BaseException:
                stream.close()  # interrupted: nothing is wrong with the others
                raise
            self._idle.append(stream)
            if self._closed:  # while the command was under way
                self.reset()
            return replies
        finally:
            self._places.put(None)

    def _take(self) -> SyncStream:
        if not self._home[0]:
            raise carried_over()
        while True:
            try:
                stream = self._idle.pop()  # atomic, so no lock
            except IndexError:
                break
            if not stream.unread.poll(0):
                return stream
            stream.close()
        if self._closed:
            raise ClosedClientError("this connection to the store was closed; make a new client")
        try:
            return SyncStream.over(self._make())
        except StoreError:
            raise
        except Exception as error:
            raise translate(error, "connect", sent=False) from error


class SyncClientLink:
    """A link over a blocking client of the driver.

    Args:
        execute: The client's `execute_command`.
        close: The client's `close`.
    """

    def __init__(self, execute: Callable[..., object], close: Callable[[], None]) -> None:
        self._execute = execute
        self._close = close

    def send(self, command: Command) -> object:
        """Send one command and return its reply."""
        try:
            return self._execute(*command)
        except driver.ResponseError:
            raise
        except (driver.RedisError, OSError) as error:
            raise translate(error, str(command[0]), sent=True) from error

    def send_many(self, commands: Sequence[Command]) -> list[object]:
        """Send commands one after the other."""
        replies: list[object] = []
        for command in commands:
            try:
                replies.append(self.send(command))
            except driver.ResponseError as error:
                replies.append(error)
        return replies

    def send_in_row(self, commands: Sequence[Command]) -> list[object]:
        """Send commands over one connection, in this order."""
        return self.send_many(commands)

    def reset(self) -> None:
        """Nothing to do: the client finds its own way."""

    def close(self) -> None:
        """Close the client."""
        self._close()
