"""What the tests of this folder share: a mail server that says what it is told, and a few names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from jobrunner.testing import Performed

PASSWORD = "hunter2-and-more"

Notify = Callable[..., Awaitable[Performed]]


class Scripted:
    """A mail server that answers each line with the next reply, whatever the line says.

    An empty reply closes the connection. After the last reply it says nothing more, and keeps the connection.
    """

    def __init__(self) -> None:
        self.replies: Sequence[str] = ()
        self.connections = 0
        self.heard: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            for number, reply in enumerate(self.replies):
                if number:
                    await self._hear(reader, ends_mail=self.replies[number - 1].startswith("354"))
                if not reply:
                    break
                writer.write(f"{reply}\r\n".encode())
                await writer.drain()
            else:
                while await reader.read(65536):
                    pass
        writer.close()

    async def _hear(self, reader: asyncio.StreamReader, *, ends_mail: bool) -> None:
        line = await reader.readuntil(b"\r\n.\r\n" if ends_mail else b"\r\n")
        self.heard.append(line.decode().strip())
