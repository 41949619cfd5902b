"""A connection as it is used by those who do not await: as `stream`, over a blocking socket."""

from __future__ import annotations

import _socket
import contextlib
import math
import select
import socket
import threading
import time

from redis.connection import AbstractConnection

from jobrunner.store.wire import NO_ANSWER, read_on, reader

READ_BYTES = 65_536
"""Bytes that are read at once at the most."""

GREETING_S = 8.0
"""Seconds that the greeting of a server may take: the password, the database."""


class SyncStream:
    """A connection that stands; its deadline is the socket's timeout, however many pieces a reply comes in.

    Args:
        opened: What the driver opened; it is connected, and is not used by anybody else.
    """

    def __init__(self, opened: AbstractConnection) -> None:
        self._opened = opened
        self._socket = _socket_of(opened)
        self._timeout = self._socket.gettimeout()
        self._parser = reader()
        self.unread = select.poll()  # not `select`, which ends at the thousandth open file
        """Tells at once of what has come since the last reply: the connection's end, or what nobody asked for."""
        self.unread.register(self._socket, select.POLLIN)

    @staticmethod
    def over(connection: AbstractConnection, within: float = GREETING_S) -> SyncStream:
        """Connect, unless it is connected already, and take over in the way that suits its socket.

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
        return (BareStream if _is_bare(type(_socket_of(connection))) else SyncStream)(connection)

    def ask(self, data: bytes, number: int) -> list[object]:
        """Send requests and wait for their replies; a server's error stands in its place as an exception.

        Args:
            data: The requests.
            number: How many there are.

        Raises:
            TimeoutError: They did not come in time.
            OSError: The connection ended.
            redis.exceptions.ConnectionError: The same.
            redis.exceptions.InvalidResponse: What came is no reply, or more than was asked for.
        """
        begun = time.monotonic()
        replies: list[object] = []
        try:
            self._socket.sendall(data)
            while not read_on(self._parser, self._socket.recv(READ_BYTES), replies, number):
                self._socket.settimeout(self._left(begun))
        except TimeoutError:
            raise TimeoutError(NO_ANSWER) from None
        self._socket.settimeout(self._timeout)
        return replies

    def _left(self, begun: float) -> float | None:
        """Seconds that are left for what is missing: a server that sends a byte now and then has no more than the others."""
        if self._timeout is None:
            return None
        left = begun + self._timeout - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def close(self) -> None:
        """End it."""
        self._opened.disconnect()


class BareStream(SyncStream):
    """As a `SyncStream`, over a socket whose reads and writes are the system's.

    Python asks the system before each write and each read whether it can be done. A socket that blocks is not asked: what is
    written is mostly taken at once, and what is read is waited for here.
    """

    def __init__(self, opened: AbstractConnection) -> None:
        super().__init__(opened)
        self._socket.settimeout(None)
        self._timeout_ms = None if self._timeout is None else math.ceil(self._timeout * 1000)

    def ask(self, data: bytes, number: int) -> list[object]:
        """Send requests and wait for their replies; raises as `SyncStream.ask`."""
        begun = time.monotonic()
        replies: list[object] = []
        try:
            self._send(data)
            left = self._timeout_ms
            while self.unread.poll(left):
                if read_on(self._parser, self._socket.recv(READ_BYTES), replies, number):
                    return replies
                rest = self._left(begun)
                left = None if rest is None else math.ceil(rest * 1000)
        except TimeoutError:
            pass  # of the rest, or the system's own
        raise TimeoutError(NO_ANSWER)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._socket.settimeout(self._timeout)
            self._socket.sendall(memoryview(data)[sent:])
            self._socket.settimeout(None)


def _socket_of(opened: AbstractConnection) -> socket.socket:
    return opened._sock  # type: ignore[return-value]  # noqa: SLF001 - it has no other way


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
