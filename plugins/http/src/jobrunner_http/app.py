"""The ASGI application: routes, the door before them, problems for errors. Usable alone, or inside another application."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any

from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from jobrunner.errors import StoreCorruptError
from jobrunner.plugins import Plugins
from jobrunner_http.access import Caller
from jobrunner_http.api import events, jobs, metrics, probes, queues
from jobrunner_http.api.document import document_config
from jobrunner_http.api.spelling import exact, spellings
from jobrunner_http.dashboard import Dashboard
from jobrunner_http.door import Door, caller_of
from jobrunner_http.gate import Gate
from jobrunner_http.problems import problem_of
from jobrunner_http.settings import HttpSettings
from jobrunner_http.site import Site
from jobrunner_http.tokens import KeptToken
from jobrunner_http.tracing import carried


class App:
    """The application.

    Attributes:
        site: What its requests share.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        board = Dashboard(site)
        self._gate: ASGIApp = Gate(
            build(site, board), site.settings, site.trail, site.addresses, board.refused
        )
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != ScopeType.HTTP:
            await self._gate(scope, receive, send)
            return
        self._under_way += 1
        self._quiet.clear()
        try:
            with carried(scope["headers"]):
                await self._gate(scope, receive, send)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def quiet(self, seconds: float) -> bool:
        """Wait until no request is under way; whether that was so within some seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True


def create_app(
    environ: Mapping[str, str] | None = None,
    *,
    plugins: Plugins | None = None,
    settings: HttpSettings | None = None,
    local: tuple[KeptToken, ...] = (),
    stream: IO[str] | None = None,
) -> App:
    """Make the ASGI application.

    Mounted in another application, its lifespan events may be left out: it opens what it needs at the first request.
    `app.site.close()` closes it.

    Args:
        environ: The environment; this process's own if None.
        plugins: The queues that are known; None loads those of `JOBRUNNER_PLUGINS`, else all that are installed.
        settings: The HTTP API's; None reads `JOBRUNNER_HTTP_*`.
        local: Tokens of this process alone, as `make_token` makes them.
        stream: Where log lines go; standard output by default.

    Raises:
        SettingsError: A variable has a value that cannot be used.
        PluginError: A plugin that was named cannot be loaded.
    """
    environ = os.environ if environ is None else environ
    return App(Site(environ, plugins=plugins, settings=settings, local=local, stream=stream))


def build(site: Site, board: Dashboard) -> Litestar:
    """Put the routes together."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await site.close()

    def the_site() -> Site:
        return site

    def the_caller(request: Request[Any, Any, Any]) -> Caller:
        return caller_of(request.scope)

    def failed(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        problem = problem_of(error, spelt=lambda: spellings(request.route_handler))
        if problem.status == 500 or isinstance(error, StoreCorruptError):
            site.trail.failed(request.method, request.scope["path"], error)
        return board.missing(request, problem) or problem.response()

    handlers = [
        *queues.HANDLERS,
        *jobs.HANDLERS,
        *events.HANDLERS,
        *metrics.HANDLERS,
        *probes.HANDLERS,
    ]
    return Litestar(
        [Router("/", route_handlers=handlers, guards=[exact]), *board.routes()],
        dependencies={
            "site": Provide(the_site, sync_to_thread=False),
            "caller": Provide(the_caller, sync_to_thread=False),
        },
        guards=[Door(site)],
        exception_handlers={Exception: failed},
        lifespan=[lifespan],
        openapi_config=document_config(site),
        before_send=[_completing_allow(handlers)],
        cors_config=_cors(site.settings),
        logging_config=None,
        debug=False,
        request_max_body_size=None,  # the gate bounds it, before anything is read
        response_headers={"cache-control": "no-store"},
    )


def _completing_allow(handlers: list[HTTPRouteHandler]) -> Callable[[Message, Scope], Awaitable[None]]:
    """A hook that names all methods of a path where OPTIONS asks: the framework's own answer knows the first one only."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path.replace(":str}", "}"), {"OPTIONS"}).update(map(str, handler.http_methods))

    async def complete(message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS":
            return
        allowed = methods.get(str(scope.get("path_template")))
        if allowed:
            rest = [(name, value) for name, value in message["headers"] if name.lower() != b"allow"]
            message["headers"] = [*rest, (b"allow", ", ".join(sorted(allowed)).encode())]

    return complete


def _cors(settings: HttpSettings) -> CORSConfig | None:
    if not settings.cors_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "x-tenant-id", "last-event-id"],
        expose_headers=["location", "retry-after"],
        allow_credentials=False,
        max_age=600,
    )
