"""A server that answers every connection with given bytes, where the sandbox would be too well-behaved."""

from __future__ import annotations

import asyncio
import contextlib


class Canned:
    """A server that answers every connection with the same bytes, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = b""
        self.received: list[bytes] = []
        self.port = 0
        self.serving: set[asyncio.Task[object]] = set()
        self.drip_s = 0.0
        """Seconds between two bytes of the answer; 0 sends it at once."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {"content-length": str(len(body)), "connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in named.items())]
        self.answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self.serving.add(task)
        self.received.append(await reader.read(65536))
        with contextlib.suppress(ConnectionError):  # the client had read enough
            await self._answer(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if not self.drip_s:
            writer.write(self.answer)
            return await writer.drain()
        head, blank, body = self.answer.partition(b"\r\n\r\n")
        writer.write(head + blank)
        for byte in body:
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(self.drip_s)
        return None
