"""A connection as it is used: bytes out, replies in, with a deadline. The driver opens it; from there on we speak.

The driver does what is hard about opening: names, TLS, users, passwords, databases. Its streams cost as much as all the
rest of an enqueue, so they are left aside once a connection stands. One request is under way at a time. A stream that
failed, or heard what it had not asked for, is never used again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Self

import redis.exceptions as driver
from redis.asyncio.connection import AbstractConnection

from jobrunner.store.wire import CLOSED, NO_ANSWER, UNASKED, read_on, reader

FAREWELL_S = 3.0
"""Seconds that the end of a connection may take; TLS says good-bye."""


class Stream(asyncio.Protocol):
    """A connection that stands.

    Args:
        opened: What the driver opened; it is connected, and is not used by anybody else.
    """

    def __init__(self, opened: AbstractConnection) -> None:
        # Whoever loses the driver's writer closes its transport, so it is kept; the driver is to close nothing.
        self._writer, opened._writer, opened._reader = opened._writer, None, None  # noqa: SLF001 - it has no other way
        assert self._writer is not None
        self._transport: asyncio.Transport = self._writer.transport  # type: ignore[assignment]  # both directions
        self._loop = asyncio.get_running_loop()
        self._parser = reader()
        self._replies: list[object] = []
        self._expected = 0
        self._answer: asyncio.Future[list[object]] | None = None
        self._deadline = 0.0
        self._clock: asyncio.TimerHandle | None = None
        self._look_at = 0.0
        self._ended = self._loop.create_future()
        self._transport.set_protocol(self)

    @classmethod
    async def over(cls, connection: AbstractConnection) -> Self:
        """Connect, unless it is connected already, and take over.

        Raises:
            redis.exceptions.RedisError: It cannot be connected.
            OSError: The same.
        """
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return cls(connection)

    @property
    def is_open(self) -> bool:
        """Whether it can be used: a server that went away has been heard to go."""
        return not self._transport.is_closing()

    def ask(self, data: bytes, replies: int, timeout: float) -> asyncio.Future[list[object]]:
        """Send requests. Who awaits what is returned has their replies; a server's error stands in its place as an exception.

        Args:
            data: The requests.
            replies: How many there are.
            timeout: Seconds until the replies count as lost.

        Raises:
            TimeoutError: They did not come in time.
            redis.exceptions.ConnectionError: The connection ended.
            redis.exceptions.InvalidResponse: What came is no reply.
        """
        # A future made here costs a third of one that the loop is asked for.
        answer: asyncio.Future[list[object]] = asyncio.Future(loop=self._loop)
        self._answer, self._expected, self._replies = answer, replies, []
        self._deadline = deadline = time.monotonic() + timeout
        if self._clock is None or self._look_at > deadline:
            self._watch()
        self._transport.write(data)
        return answer

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        answer = self._answer
        if answer is None:
            self._fail(driver.InvalidResponse(UNASKED))
            return
        try:
            is_whole = read_on(self._parser, data, self._replies, self._expected)
        except driver.InvalidResponse as error:
            self._fail(error)
            return
        if is_whole:
            self._answer = None
            if not answer.done():
                answer.set_result(self._replies)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it ended."""
        self._fail(error or driver.ConnectionError(CLOSED))
        if not self._ended.done():
            self._ended.set_result(None)

    def close(self) -> None:
        """End it in good order, some time soon."""
        self._stop_clock()
        self._transport.close()

    def abort(self) -> None:
        """End it at once: what is under way is lost."""
        self._stop_clock()
        self._transport.abort()

    async def closed(self) -> None:
        """Close it and wait for its end, for as long as that may take."""
        self.close()
        await asyncio.wait([self._ended], timeout=FAREWELL_S)

    def _fail(self, error: Exception) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
        self.abort()

    def _watch(self) -> None:
        # One timer watches over one request after another: a timer for each would cost more than their replies' parsing.
        if self._clock is not None:
            self._clock.cancel()
        self._look_at = self._deadline
        self._clock = self._loop.call_later(max(0.0, self._deadline - time.monotonic()), self._look)

    def _look(self) -> None:
        self._clock = None
        if self._answer is None:
            return
        if time.monotonic() < self._deadline:
            self._watch()
        else:
            self._fail(TimeoutError(NO_ANSWER))

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
