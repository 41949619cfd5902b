"""Stand before a primary and cut it off from its replicas and its Sentinels, while its clients go on.

A connection is told apart by the first things that it says: a replica sends REPLCONF, a Sentinel gives itself a
name. What is passed on is never changed. It knows no TLS.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Self, TypeVar

T = TypeVar("T")

READ_BYTES = 65536
CALL_TIMEOUT_S = 10.0
INTRODUCTIONS = 6
"""Pieces of a connection's first bytes in which it says what it is."""

_SIGNS = (b"REPLCONF", b"sentinel-", b"__sentinel__")
_HELLO = b"*1\r\n$4\r\nPING\r\n"
"""What a replica says first, before it says that it is one; clients do not."""


class Split:
    """The place in between. Use it as a context manager, or call `close`. Its methods may be called from any thread."""

    def __init__(self, port: int) -> None:
        """Listen on a loopback port that the system chooses.

        Args:
            port: the primary's.
        """
        self._upstream = port
        self._whole = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._others: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="split", daemon=True)
        self._thread.start()
        self._listener = self._call(self._listen())
        self.port: int = self._listener.sockets[0].getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self) -> None:
        """From now on replicas and Sentinels get nothing through, and hear nothing; nobody tells them why."""
        self._whole = False

    def heal(self) -> None:
        """Let everything through again; connections that lost bytes are closed."""
        self._call(self._heal())

    def close(self) -> None:
        """Stop listening, end all connections and the thread. Idempotent."""
        if self._loop.is_closed():
            return
        self._call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def _call(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        server: asyncio.StreamWriter | None = None
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self._upstream)
            back = asyncio.create_task(self._pass_back(answers, writer))
            try:
                await self._pass_on(reader, writer, server)
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        except OSError:
            pass  # one side is gone, and so is the other
        finally:
            self._tasks.discard(task)
            self._others.discard(writer)
            for end in (writer, server):
                if end is not None:
                    end.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        pieces = 0
        while data := await reader.read(READ_BYTES):
            pieces += 1
            if pieces <= INTRODUCTIONS and _is_other(data, first=pieces == 1):
                self._others.add(writer)
            if self._whole or writer not in self._others:
                server.write(data)
                await server.drain()

    async def _pass_back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(READ_BYTES):
            if self._whole or writer not in self._others:
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _heal(self) -> None:
        self._whole = True
        for writer in self._others:
            writer.transport.abort()

    async def _shut_down(self) -> None:
        self._listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.wait_closed()


def _is_other(data: bytes, *, first: bool) -> bool:
    """Whether a piece gives a connection away as that of a replica or a Sentinel."""
    return any(sign in data for sign in _SIGNS) or (first and data == _HELLO)
