"""What `jobrunner serve` runs: the server, and with `--worker` a worker in a thread of its own; and how all of it stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Mapping

import click

from jobrunner.errors import JobrunnerError
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins
from jobrunner.settings import core_settings
from jobrunner.store import server as store_server
from jobrunner.store.address import from_environment
from jobrunner.worker.worker import Worker, WorkerOptions
from jobrunner_http.access import Role
from jobrunner_http.app import create_app
from jobrunner_http.scraping import scraping
from jobrunner_http.server import Server, more_files
from jobrunner_http.settings import HttpSettings
from jobrunner_http.site import Site
from jobrunner_http.tokens import make_token
from jobrunner_http.trail import HttpStarted, HttpStopped

SPARE_FILES = 256
"""Open files beside the connections: the store's, the log's, libraries'."""


class NoTokenError(JobrunnerError):
    """There is no token, so nobody could be let in."""

    exit_status = 2


async def serve(
    environ: Mapping[str, str],
    plugins: Plugins,
    settings: HttpSettings,
    *,
    dev: bool,
    worker_names: tuple[str, ...] | None,
    worker: bool,
) -> int:
    """Serve until a signal comes; the exit status.

    Args:
        environ: The environment.
        plugins: The queues that are known.
        settings: The HTTP API's.
        dev: Make a token for this process and print a link.
        worker_names: What the plugins were asked for by, for the worker's children.
        worker: Run a worker too.

    Raises:
        NoTokenError: There is no token.
        StoreError: The store cannot be reached, or may not be used.
        ListenError: The address cannot be listened at.
    """
    more_files(settings.max_connections + SPARE_FILES)
    core = core_settings(environ)
    text, kept = make_token("dev", Role.ADMIN) if dev else ("", None)
    app = create_app(environ, plugins=plugins, settings=settings, local=(kept,) if kept else ())
    site = app.site
    begun = time.monotonic()
    try:
        about = await site.admin.store.run(store_server.info())
        store_server.check(about, allow_eviction=core.allow_eviction)
        if not await site.tokens.count():
            raise NoTokenError(
                "there is no token, so nobody could be let in: make one with `jobrunner token new NAME --role admin`, "
                "or try `jobrunner serve --dev`"
            )
        servers = [Server(app, settings.host, settings.port, settings)]
        if settings.metrics_port:
            servers.append(Server(scraping(site), settings.metrics_host, settings.metrics_port, settings))
        main = servers[0]
        hand = _Worker(environ, plugins, worker_names) if worker else None
        if hand is not None:
            hand.start()
            site.worker_lives = hand.lives
        site.trail.tell(
            HttpStarted(
                timestamp=time.time(),
                address=main.address,
                store=site.address.masked(),
                queues=len(plugins.queues),
                worker=worker,
            )
        )
        if dev:
            click.echo(f"token: {text}", err=True)
            click.echo(f"open:  {main.address}/login/{site.link(text)}", err=True)
        reason, status = await _until_told(site, servers, hand)
        site.trail.tell(
            HttpStopped(timestamp=time.time(), reason=reason, uptime_s=round(time.monotonic() - begun, 3))
        )
        return status
    finally:
        await site.close()


async def _until_told(site: Site, servers: list[Server], hand: _Worker | None) -> tuple[str, int]:
    """Run until a signal, or until a part ends by itself; why it stopped, and the exit status."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    reasons: list[str] = []

    def tell(reason: str) -> None:
        reasons.append(reason)
        told.set()
        if hand is not None and len(reasons) == 1:
            hand.stop(reason)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, tell, number.name)
    running = [asyncio.create_task(server.run()) for server in servers]
    parts: list[asyncio.Future[object]] = [*running, asyncio.ensure_future(told.wait())]  # type: ignore[list-item]  # futures of anything
    if hand is not None:
        parts.append(asyncio.ensure_future(hand.ended()))
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        status = 0 if reasons else 1
        if not reasons:
            tell("a server ended" if any(one.done() for one in running) else "the worker ended")
        site.feed.close()
        for server in servers:
            server.stop()
        if hand is not None:
            status = max(status, await hand.ended())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(site.settings.grace):
                await asyncio.gather(*running)
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
    return reasons[0], status


class _Worker:
    """A worker in a thread of its own, with a loop of its own: a handler that blocks it leaves the pages alone."""

    def __init__(self, environ: Mapping[str, str], plugins: Plugins, names: tuple[str, ...] | None) -> None:
        core = core_settings(environ)
        options = WorkerOptions(grace=core.grace, plugin_names=names or core.plugins)
        address = from_environment(environ)
        self._worker = Worker(plugins, address, core, environ, options, Logs(core), listen=False)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="jobrunner-worker", daemon=True)
        self._done = asyncio.Event()
        self._home = asyncio.get_running_loop()
        self._status = 1

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def stop(self, reason: str) -> None:
        """Ask it to stop in order."""
        with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._worker.shutdown.ask, reason)

    def lives(self) -> bool:
        """Whether it serves, and its store answers."""
        return self._thread.is_alive() and not self._worker.health.is_lost

    async def ended(self) -> int:
        """Wait for its end; its exit status."""
        await self._done.wait()
        return self._status

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._status = self._loop.run_until_complete(self._worker.run())
        except JobrunnerError as error:
            click.echo(f"worker: {' '.join(str(error).split())}", err=True)
            self._status = error.exit_status
        finally:
            if not self._worker.left_behind:
                self._loop.close()
            with contextlib.suppress(RuntimeError):
                self._home.call_soon_threadsafe(self._done.set)
