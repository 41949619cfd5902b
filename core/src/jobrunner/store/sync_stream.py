"""A connection as it is used by those who do not await: as `stream`, over a blocking socket."""

from __future__ import annotations

import socket
from typing import Self

import redis.exceptions as driver
from redis.connection import AbstractConnection

from jobrunner.store.wire import CLOSED, UNASKED, reader

READ_BYTES = 65_536
"""Bytes that are read at once at the most."""


class SyncStream:
    """A connection that stands; its deadline is the socket's timeout.

    Args:
        opened: What the driver opened; it is connected, and is not used by anybody else.
    """

    def __init__(self, opened: AbstractConnection) -> None:
        self._opened = opened
        self._socket: socket.socket = opened._sock  # type: ignore[assignment]  # noqa: SLF001 - it has no other way
        self._parser = reader()

    @classmethod
    def over(cls, connection: AbstractConnection) -> Self:
        """Connect, unless it is connected already, and take over.

        Raises:
            redis.exceptions.RedisError: It cannot be connected.
            OSError: The same.
        """
        connection.connect()
        return cls(connection)

    def ask(self, data: bytes, replies: int) -> list[object]:
        """Send requests and wait for their replies; a server's error stands in its place as an exception.

        Args:
            data: The requests.
            replies: How many there are.

        Raises:
            TimeoutError: They did not come in time.
            OSError: The connection ended.
            redis.exceptions.ConnectionError: The same.
            redis.exceptions.InvalidResponse: What came is no reply, or more than was asked for.
        """
        self._socket.sendall(data)
        answer: list[object] = []
        while len(answer) < replies:
            part = self._socket.recv(READ_BYTES)
            if not part:
                raise driver.ConnectionError(CLOSED)
            self._parser.feed(part)
            while (reply := self._parser.gets()) is not False:
                answer.append(reply)
        if len(answer) > replies:
            raise driver.InvalidResponse(UNASKED)
        return answer

    def close(self) -> None:
        """End it."""
        self._opened.disconnect()
