"""One client's connection through the fault proxy, and the server's side of it.

Replies leave in the order of their requests, also those that the proxy makes itself, and a fault that closes
the connection waits for the replies before it: what a client sees is the same in each run.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import assert_never

from rig.faults import Answer, BlackHole, DelayReply, DropReply, DropRequest, Reset, Rule, Say
from rig.resp import Command, FrameSplitter, RespError, parse_command

READ_BYTES = 65536
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, for zero seconds


class Link:
    """Two connections and the requests whose replies are awaited."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        upstream: tuple[str, int],
        strike: Callable[[Command], Rule | None],
        healthy: asyncio.Event,
    ) -> None:
        self.lost_bytes = False
        self._client_reader, self._client_writer = reader, writer
        self._upstream = upstream
        self._strike = strike
        self._healthy = healthy
        self._awaited: deque[Rule | None] = deque()  # one for each request without a reply, oldest first
        self._released = asyncio.Event()
        self._over = asyncio.Event()
        self._reset = False
        self._server_writer: asyncio.StreamWriter | None = None

    async def run(self) -> None:
        """Pass requests and replies until one side or a fault ends it. Raises nothing."""
        pump = asyncio.create_task(self._guarded(self._converse()))
        try:
            await self._over.wait()
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            await self._close()

    def end(self, *, reset: bool) -> None:
        """End both connections, the client's by RST if asked for."""
        self._reset = self._reset or reset
        self._over.set()

    def release(self) -> None:
        """Let replies that are held back go."""
        self._released.set()
        self._released = asyncio.Event()

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (OSError, RespError):
            self.end(reset=False)

    async def _converse(self) -> None:
        if not self._healthy.is_set():
            # The greeting never gets through; once the way is free this connection is of no use.
            self.lost_bytes = True
            await self._swallow_client()
            return
        server_reader, self._server_writer = await asyncio.open_connection(*self._upstream)
        self._server_writer.transport.set_write_buffer_limits(high=0)
        self._client_writer.transport.set_write_buffer_limits(high=0)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._guarded(self._pass_requests(self._server_writer)))
            group.create_task(self._guarded(self._pass_replies(server_reader)))

    async def _swallow_client(self) -> None:
        while await self._client_reader.read(READ_BYTES):
            pass
        await self._end_when_healthy()

    async def _end_when_healthy(self) -> None:
        """End the link; in a black hole the other side learns of it only afterwards."""
        await self._healthy.wait()
        self.end(reset=False)

    async def _pass_requests(self, server: asyncio.StreamWriter) -> None:
        splitter = FrameSplitter()
        while data := await self._client_reader.read(READ_BYTES):
            for frame in splitter.feed(data):
                if not await self._pass_request(frame, server):
                    # The end may wait for an earlier reply; until then only the client's leaving counts.
                    await self._swallow_client()
                    return
        await self._end_when_healthy()

    async def _pass_request(self, frame: bytes, server: asyncio.StreamWriter) -> bool:
        """Pass on one request; False if no further one may follow on this link."""
        if not self._healthy.is_set():
            self.lost_bytes = True
            return True
        rule = self._strike(parse_command(frame))
        fault = rule.fault if rule else None
        match fault:
            case None | DelayReply() | DropReply():
                self._awaited.append(rule)
                server.write(frame)
                await server.drain()
                return not isinstance(fault, DropReply)
            case BlackHole():
                assert rule is not None
                self.lost_bytes = True
                rule.announce()
                return True
            case Answer() | Say():
                self._awaited.append(rule)
                await self._settle_local()
                return True
            case DropRequest() | Reset():
                self._awaited.append(rule)
                await self._settle_local()
                return False
            case _:
                assert_never(fault)

    async def _settle_local(self) -> None:
        """Carry out what needs no reply of the server and has become the oldest awaited.

        A fault is announced before the client can see it: who saw it finds it counted.
        """
        while self._awaited and (rule := self._awaited[0]) is not None:
            match rule.fault:
                case Answer(error):
                    self._awaited.popleft()
                    rule.announce()
                    await self._reply(b"-" + error.encode() + b"\r\n")
                case Say(data):
                    self._awaited.popleft()
                    rule.announce()
                    await self._reply(data)
                case DropRequest() | Reset():
                    rule.announce()
                    self.end(reset=isinstance(rule.fault, Reset))
                    return
                case _:
                    return

    async def _pass_replies(self, server_reader: asyncio.StreamReader) -> None:
        splitter = FrameSplitter()
        while data := await server_reader.read(READ_BYTES):
            for frame in splitter.feed(data):
                if frame.startswith(b">") or not self._awaited:
                    await self._reply(frame)
                elif not await self._pass_reply(frame, self._awaited[0]):
                    return
                else:
                    await self._settle_local()
        await self._end_when_healthy()

    async def _pass_reply(self, frame: bytes, rule: Rule | None) -> bool:
        """Pass on the reply to the oldest awaited request; False if the link ends in its place."""
        match rule.fault if rule else None:
            case DropReply():
                assert rule is not None
                rule.announce()
                self.end(reset=False)
                return False
            case DelayReply(seconds):
                assert rule is not None
                rule.announce()
                with suppress(TimeoutError):  # not `wait_for`, which can lose the cancelling at a close
                    async with asyncio.timeout(seconds):
                        await self._released.wait()
        await self._reply(frame)
        self._awaited.popleft()
        return True

    async def _reply(self, frame: bytes) -> None:
        if not self._healthy.is_set():
            self.lost_bytes = True
            return
        self._client_writer.write(frame)
        await self._client_writer.drain()

    async def _close(self) -> None:
        if self._server_writer is not None:
            self._server_writer.close()
        if self._reset:
            peer = self._client_writer.get_extra_info("socket")
            with suppress(OSError):
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            self._client_writer.transport.abort()
        else:
            self._client_writer.close()
        for writer in (self._client_writer, self._server_writer):
            if writer is not None:
                with suppress(OSError, TimeoutError):
                    await asyncio.wait_for(writer.wait_closed(), 1.0)
                writer.transport.abort()
