"""A connection as it is used by those who do not await: as `stream`, over a blocking socket."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from typing import Self

import redis.exceptions as driver
from redis.connection import AbstractConnection

from jobrunner.store.wire import CLOSED, UNASKED, reader, replies_in

READ_BYTES = 65_536
"""Bytes that are read at once at the most."""

LEAST_S = 0.001
"""Seconds of a timeout that is all but over; none would mean not to wait at all, which is another kind of error."""

GREETING_S = 8.0
"""Seconds that the greeting of a server may take: the password, the database."""


class SyncStream:
    """A connection that stands; its deadline is the socket's timeout, however many pieces a reply comes in.

    Args:
        opened: What the driver opened; it is connected, and is not used by anybody else.
    """

    def __init__(self, opened: AbstractConnection) -> None:
        self._opened = opened
        self._socket: socket.socket = opened._sock  # type: ignore[assignment]  # noqa: SLF001 - it has no other way
        self._timeout = self._socket.gettimeout()
        self._parser = reader()
        self._unread = select.poll()  # not `select`, which ends at the thousandth open file
        self._unread.register(self._socket, select.POLLIN)

    @classmethod
    def over(cls, connection: AbstractConnection, within: float = GREETING_S) -> Self:
        """Connect, unless it is connected already, and take over.

        Args:
            connection: What the driver made.
            within: Seconds that all of it may take: the driver counts them anew with each piece of an answer.

        Raises:
            redis.exceptions.RedisError: It cannot be connected.
            OSError: The same.
        """
        end = threading.Timer(within, _cut_off, (connection,))
        end.daemon = True
        with contextlib.suppress(
            RuntimeError
        ):  # no thread more may be started: better without a bound than not at all
            end.start()
        try:
            connection.connect()
        finally:
            end.cancel()
        return cls(connection)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come since the last reply: neither the connection's end nor what nobody asked for."""
        return not self._unread.poll(0)

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
        begun = time.monotonic()
        self._socket.sendall(data)
        answer = self._read()
        if len(answer) < replies:
            self._read_on(answer, replies, begun)
        if len(answer) > replies or self._parser.has_data():
            raise driver.InvalidResponse(UNASKED)
        return answer

    def _read(self) -> list[object]:
        part = self._socket.recv(READ_BYTES)
        if not part:
            raise driver.ConnectionError(CLOSED)
        return replies_in(self._parser, part)

    def _read_on(self, answer: list[object], replies: int, begun: float) -> None:
        """Read what is missing. The socket's timeout is for each piece; a server that sends a byte now and then meets it."""
        while len(answer) < replies:
            if self._timeout is not None:
                self._socket.settimeout(max(begun + self._timeout - time.monotonic(), LEAST_S))
            answer += self._read()
        self._socket.settimeout(self._timeout)

    def close(self) -> None:
        """End it."""
        self._opened.disconnect()


def _cut_off(connection: AbstractConnection) -> None:
    """End a connection that somebody waits for: he is told that it was closed."""
    opened: socket.socket | None = connection._sock  # noqa: SLF001 - it has no other way
    if opened is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                opened, socket.SHUT_RDWR
            )  # not that of TLS, which would take its state away
