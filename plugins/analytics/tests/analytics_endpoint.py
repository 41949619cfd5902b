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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        named = {"content-length": str(len(body)), "connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status} Answer", *(f"{name}: {value}" for name, value in named.items())]
        self.answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received.append(await reader.read(65536))
        writer.write(self.answer)
        with contextlib.suppress(ConnectionError):  # the client had read enough
            await writer.drain()
        writer.close()
