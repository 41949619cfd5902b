"""Runs the stand-in of a mail server on a loopback port of its own: SMTP is no HTTP, and has its own address.

Listens on 127.0.0.1 only.
"""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from jobrunner_sandbox.services.smtp import MOST_LINE, SmtpService

HOST = "127.0.0.1"


class MailServer:
    """A mail server as an async context manager.

    Args:
        service: Serves each connection.
        implicit_tls: What every connection is encrypted with from its first byte; None begins in clear.
    """

    def __init__(self, service: SmtpService, *, implicit_tls: ssl.SSLContext | None = None) -> None:
        self._service = service
        self._implicit_tls = implicit_tls
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""
        """The server's address, such as `smtp://127.0.0.1:40125`; empty before it listens."""

    async def __aenter__(self) -> Self:
        """Start to listen in this event loop."""
        self._server = await asyncio.start_server(
            self._accepted, HOST, 0, limit=MOST_LINE, ssl=self._implicit_tls
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'smtps' if self._implicit_tls else 'smtp'}://{HOST}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to listen, and close every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Our own tasks: those of asyncio report a connection that is cut off as an error of the program.
        task = asyncio.get_running_loop().create_task(self._service.serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
