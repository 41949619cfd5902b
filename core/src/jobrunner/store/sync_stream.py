"""A connection as it is used by those who do not await: as `stream`, over a blocking socket."""

from __future__ import annotations

import _socket
import contextlib
import math
import select
import socket
import threading
import time
from typing import Self

import redis.exceptions as driver
from redis.connection import AbstractConnection

from jobrunner.store.wire import NO_ANSWER, UNASKED, reader, replies_in

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
        self._is_bare = _is_bare(type(self._socket))
        if self._is_bare:
            self._socket.settimeout(None)
        self._parser = reader()
        self.unread = select.poll()  # not `select`, which ends at the thousandth open file
        """Tells at once of what has come since the last reply: the connection's end, or what nobody asked for."""
        self.unread.register(self._socket, select.POLLIN)

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
        try:
            if self._is_bare:
                self._send(data)
                answer = self._read_within(self._timeout)
            else:
                self._socket.sendall(data)
                answer = replies_in(self._parser, self._socket.recv(READ_BYTES))
            if len(answer) < replies:
                self._read_on(answer, replies, begun)
        except TimeoutError:
            raise TimeoutError(NO_ANSWER) from None
        if len(answer) > replies or self._parser.has_data():
            raise driver.InvalidResponse(UNASKED)
        return answer

    # Python asks the system before each write and each read whether it can be done. A socket that blocks is not asked:
    # what is written is mostly taken at once, and what is read is waited for here.

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._socket.settimeout(self._timeout)
            self._socket.sendall(memoryview(data)[sent:])
            self._socket.settimeout(None)

    def _read_within(self, seconds: float | None) -> list[object]:
        if not self.unread.poll(None if seconds is None else math.ceil(seconds * 1000)):
            raise TimeoutError
        return replies_in(self._parser, self._socket.recv(READ_BYTES))

    def _read_on(self, answer: list[object], replies: int, begun: float) -> None:
        """Read what is missing, all of it within the time; a server that sends a byte now and then meets every shorter one."""
        while len(answer) < replies:
            left = None if self._timeout is None else max(begun + self._timeout - time.monotonic(), LEAST_S)
            if self._is_bare:
                answer += self._read_within(left)
            else:
                self._socket.settimeout(left)
                answer += replies_in(self._parser, self._socket.recv(READ_BYTES))
        if not self._is_bare:
            self._socket.settimeout(self._timeout)

    def close(self) -> None:
        """End it."""
        self._opened.disconnect()


def _is_bare(kind: type[socket.socket]) -> bool:
    """Whether a socket's reads and writes are the system's, and not those of TLS or of somebody's own kind of thread."""
    plain = _socket.socket
    return hasattr(socket, "MSG_DONTWAIT") and kind.recv is plain.recv and kind.send is plain.send


def _cut_off(connection: AbstractConnection) -> None:
    """End a connection that somebody waits for: he is told that it was closed."""
    opened: socket.socket | None = connection._sock  # noqa: SLF001 - it has no other way
    if opened is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(
                opened, socket.SHUT_RDWR
            )  # not that of TLS, which would take its state away
