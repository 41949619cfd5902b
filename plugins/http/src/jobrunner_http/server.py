"""The server: granian inside this process, on a socket of ours, with the bounds that keep slow clients from mattering.

It was chosen by test (see the README): of the servers that run inside an asyncio program it alone bounds the time for a
request's head as a whole, the head's size and the number of connections.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server as Granian
from litestar.types import ASGIApp

from jobrunner.errors import JobrunnerError
from jobrunner_http.settings import HttpSettings

BACKLOG = 1024


class ListenError(JobrunnerError):
    """The address cannot be listened at; the text names it."""


class Server:
    """One application at one address.

    Args:
        app: What is served.
        host: The address.
        port: The port; 0 lets the system choose.
        settings: The bounds.

    Raises:
        ListenError: Somebody else listens there, or it is no address of this machine.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, settings: HttpSettings) -> None:
        self._socket = _bound(host, port, settings.send_timeout)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self._server = _OnSocket(app, self._socket, settings)

    @property
    def address(self) -> str:
        """Where it is found."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"

    async def run(self) -> None:
        """Serve until `stop`."""
        await self._server.serve()

    def stop(self) -> None:
        """Take no more connections; what is under way ends first."""
        self._server.stop()  # type: ignore[no-untyped-call]  # the server is typed only in part


class _OnSocket(Granian):
    """Granian on a socket that is bound already: its own would share the port with a second server in silence."""

    def __init__(self, app: ASGIApp, listener: socket.socket, settings: HttpSettings) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=settings.max_connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=int(settings.header_timeout * 1000), max_buffer_size=settings.max_header
            ),
            log_enabled=False,
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        self._ssp: Any = None
        self._shd: Any = SocketHolder(self._listener.detach(), False, BACKLOG)  # type: ignore[call-arg]  # typed as it is not


def _bound(host: str, port: int, send_timeout_s: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Connections have it from their listener. The server itself waits for ever until its bytes are taken.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(send_timeout_s * 1000))
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ListenError(f"cannot listen at {host}:{port}: {reason}") from None
    return listener


def more_files(wanted: int) -> None:
    """Raise this process's limit of open files as far as the system lets it: a connection is one."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
