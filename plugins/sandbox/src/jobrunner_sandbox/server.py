"""Runs the sandbox on a loopback port, in the event loop at hand or in a thread of its own.

Listens on 127.0.0.1 only, takes no signals, and logs nothing but its own failures.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.faults import Faults
from jobrunner_sandbox.gate import HANG_UP
from jobrunner_sandbox.ledger import Ledger
from jobrunner_sandbox.mail_room import Mail
from jobrunner_sandbox.mail_server import MailServer
from jobrunner_sandbox.sandbox import Sandbox

HOST = "127.0.0.1"
STOP_S = 2
"""Whole seconds that a stop waits for a client that is still sending its request."""

BACKLOG = 512


class SandboxServer:
    """All stand-ins on one port, as an async context manager.

    Args:
        behaviour: How the services behave at first.
        port: The port on 127.0.0.1; 0 lets the system choose a free one.
        now: The clock, Unix time in seconds.
        smtp_tls: What the mail server, on a port of its own, does STARTTLS with; None does not offer it.
        pictures: The folder that the media service serves as `https://pictures.example.com/`; None for none.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        port: int = 0,
        now: Callable[[], float] = time.time,
        smtp_tls: ssl.SSLContext | None = None,
        pictures: Path | None = None,
    ) -> None:
        self._sandbox = Sandbox(behaviour, now=now, smtp_tls=smtp_tls, pictures=pictures)
        self._mail = MailServer(self._sandbox.smtp)
        self._wanted_port = port
        self._url = ""
        self._running: asyncio.Task[None] | None = None
        self._stop: Callable[[], None] = lambda: None

    @classmethod
    @contextmanager
    def in_thread(
        cls,
        behaviour: Behaviour | None = None,
        *,
        port: int = 0,
        now: Callable[[], float] = time.time,
        smtp_tls: ssl.SSLContext | None = None,
        pictures: Path | None = None,
    ) -> Iterator[Self]:
        """Run a server in a thread of its own for as long as the `with` block lasts.

        Args:
            behaviour: How the services behave at first.
            port: The port on 127.0.0.1; 0 lets the system choose a free one.
            now: The clock, Unix time in seconds; called in the thread.
            smtp_tls: What the mail server does STARTTLS with; None does not offer it.
            pictures: The folder of the media service's pictures; None for none.

        Returns:
            A context manager that gives the server, listening.

        Raises:
            OSError: The port is taken.
        """
        server = cls(behaviour, port=port, now=now, smtp_tls=smtp_tls, pictures=pictures)
        started: Future[Callable[[], None]] = Future()
        thread = threading.Thread(
            target=lambda: asyncio.run(server._serve_until_stopped(started)),
            name="jobrunner-sandbox",
            daemon=True,
        )
        thread.start()
        stop = started.result()
        try:
            yield server
        finally:
            stop()
            thread.join()

    async def __aenter__(self) -> Self:
        """Start to listen in this event loop.

        Raises:
            OSError: The port is taken.
        """
        listener = _listen(self._wanted_port)
        self._url = f"http://{HOST}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self._sandbox.app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_S,
        )
        server = _Server(config)
        self._running = asyncio.create_task(server.serve(sockets=[listener]))
        self._stop = server.stop
        # Whichever is first, so that a failure to start is raised here and does not leave this waiting.
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({ready, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            ready.cancel()
            listener.close()
            await self._running
        await self._mail.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to listen, drop the requests that a latency holds up, and close every connection."""
        await self._mail.__aexit__(kind, error, trace)
        self._sandbox.stop()
        self._stop()
        if self._running is not None:
            await self._running

    @property
    def url(self) -> str:
        """The server's address, such as `http://127.0.0.1:40123`; empty before it listens."""
        return self._url

    @property
    def ledger(self) -> Ledger:
        """What the services received and published."""
        return self._sandbox.ledger

    @property
    def mails(self) -> list[Mail]:
        """The mails that the mail server took, oldest first, as they were sent."""
        return self._sandbox.mail_room.mails()

    @property
    def faults(self) -> Faults:
        """The queue of one-off faults."""
        return self._sandbox.faults

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force. Setting it begins the random sources anew, from its seed."""
        return self._sandbox.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._sandbox.behaviour = behaviour

    def services(self) -> dict[str, str]:
        """Return the base address of every service by its name: graph, x, whatsapp, smtp and so on."""
        served = {name: f"{self._url}/{name}" for name in self._sandbox.names}
        return {**served, "smtp": self._mail.url}

    def reset(self) -> None:
        """Forget everything received, published, uploaded and planned; the behaviour stays.

        To be called while no request is under way.
        """
        self._sandbox.reset()

    async def _serve_until_stopped(self, started: Future[Callable[[], None]]) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        try:
            async with self:
                started.set_result(lambda: _set_in(loop, stopped))
                await stopped.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)


def _set_in(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns off the delay of small packets; without it each answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """A server that says when it accepts, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        self.should_exit = True


class _Protocol(H11Protocol):
    """HTTP/1.1 that lets the application close its connection without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base class has it
        super().connection_made(transport)
        self.app = _with_hang_up(self.app, transport.close)


def _with_hang_up(
    app: Callable[[Scope, Receive, Send], Awaitable[None]], hang_up: Callable[[], None]
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {**scope.get("extensions", {}), HANG_UP: hang_up}}, receive, send)

    return serve
