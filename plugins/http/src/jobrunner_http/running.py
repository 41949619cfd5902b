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
from jobrunner.settings import Settings, core_settings
from jobrunner.store import server as store_server
from jobrunner.store.address import from_environment
from jobrunner.worker.worker import Worker, WorkerOptions
from jobrunner_http.access import Role
from jobrunner_http.app import App, create_app
from jobrunner_http.scraping import scraping
from jobrunner_http.server import Server, more_files
from jobrunner_http.settings import HttpSettings
from jobrunner_http.site import Site
from jobrunner_http.tokens import make_token
from jobrunner_http.trail import HttpStarted, HttpStopped

LAST_BYTES_S = 0.1
"""Seconds for the last answers to leave: the server hands them to its own threads."""

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
    told = _Told()
    told.listen()
    text, kept = make_token("dev", Role.ADMIN) if dev else ("", None)
    app = create_app(environ, plugins=plugins, settings=settings, local=(kept,) if kept else ())
    site = app.site
    begun = time.monotonic()
    try:
        await _check(site, core_settings(environ))
        servers = [Server(app, settings.host, settings.port, settings)]
        if settings.metrics_port:
            servers.append(Server(scraping(site), settings.metrics_host, settings.metrics_port, settings))
        hand = _Worker(environ, plugins, worker_names) if worker else None
        if hand is not None:
            hand.start()
            site.worker_lives = hand.lives
        started = HttpStarted(
            timestamp=time.time(),
            address=servers[0].address,
            store=site.address.masked(),
            queues=len(plugins.queues),
            worker=worker,
        )
        site.trail.tell(started)
        if dev:
            click.echo(f"token: {text}", err=True)
            click.echo(f"open:  {servers[0].address}/login/{site.link(text)}", err=True)
        status = await _run(app, servers, hand, told)
        uptime_s = round(time.monotonic() - begun, 3)
        site.trail.tell(HttpStopped(timestamp=time.time(), reason=told.reason, uptime_s=uptime_s))
        return status
    finally:
        await site.close()


async def _check(site: Site, core: Settings) -> None:
    """Refuse a store that cannot be used, or that holds no token."""
    about = await site.admin.store.run(store_server.info())
    store_server.check(about, allow_eviction=core.allow_eviction)
    if not await site.tokens.count():
        raise NoTokenError(
            "there is no token, so nobody could be let in: make one with `jobrunner token new NAME --role admin`, "
            "or try `jobrunner serve --dev`"
        )


async def _run(app: App, servers: list[Server], hand: _Worker | None, told: _Told) -> int:
    """Serve until told to stop, or until a part ends by itself; the exit status.

    The order of the stop: no new connections and no more streams, then what is under way, then the worker's own stop.
    """
    running = [asyncio.create_task(server.run()) for server in servers]
    stop = asyncio.create_task(told.stop.wait())
    ended = asyncio.create_task(hand.ended()) if hand is not None else None
    parts: list[asyncio.Task[object]] = [*running, stop, *([ended] if ended else [])]
    try:
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        status = 0 if told.stop.is_set() else 1
        told.tell("a server ended" if any(one.done() for one in running) else "the worker ended")
        app.site.feed.close()
        for server in servers:
            server.stop()
        if hand is not None:
            hand.stop(told.reason)
        await app.quiet(app.site.settings.grace)
        await asyncio.sleep(LAST_BYTES_S)
        if hand is not None:
            status = max(status, await hand.ended())
        return status
    finally:
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


class _Told:
    """Whether somebody asked for a stop; the first reason stands."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.reason = ""

    def listen(self) -> None:
        """Take the process's signals."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.tell, number.name)

    def tell(self, reason: str) -> None:
        """Ask for a stop."""
        self.reason = self.reason or reason
        self.stop.set()


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
