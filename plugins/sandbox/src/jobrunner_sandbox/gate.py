"""What stands in front of every service: the token, the fate, the wait, the record, and the answer lost.

Knows no platform: every refusal is worded by the service. Never puts a token or a query into the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from jobrunner_sandbox.fates import Fate, Fates
from jobrunner_sandbox.fields import MalformedBodyError
from jobrunner_sandbox.ledger import Received
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, Service, account_of

HANG_UP = "jobrunner_sandbox.hang_up"
"""The scope's extension with a function that closes the connection; the server puts it there."""

TOKEN_FIELDS = ("access_token", "oauth2_access_token", "oauth_token", "bearer_token", "token")
REVOKED = "revoked"
"""A token that begins so is refused as one that is no longer valid."""

ALL_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class LostAnswer(Response):
    """Closes the connection instead of answering."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - nothing is sent
        """Close, and wait until it is closed, so that the server has nobody left to answer."""
        hang_up: Callable[[], None] = scope["extensions"][HANG_UP]
        hang_up()
        while (await receive())["type"] != "http.disconnect":
            pass


class Gate:
    """Serves one service's endpoints under its name as a path prefix."""

    def __init__(self, service: Service, *, context: Context, fates: Fates) -> None:
        self._service = service
        self._context = context
        self._fates = fates
        self._prefix = f"/{service.name}"

    def routes(self) -> list[Route]:
        """Return the routes of the service, the last one for everything that it does not have."""
        routes = [
            Route(f"{self._prefix}{endpoint.path}", self._serve(endpoint), methods=[endpoint.method])
            for endpoint in self._service.endpoints()
        ]
        nowhere = Endpoint(method="*", path="/{path:path}", handler=self._nowhere, public=True)
        return [*routes, Route(f"{self._prefix}{nowhere.path}", self._serve(nowhere), methods=ALL_METHODS)]

    def _serve(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            # A body left unread would break the connection under a client that is still sending it.
            await request.body()
            fate = self._fates.draw(self._service.name, method=request.method, path=self._path(request))
            if await self._stopped_during(self._fates.behaviour.latency):
                return LostAnswer()
            call = self._call(request)
            answer = await self._answer(endpoint, call, fate)
            self._service.finish(call, answer)
            # A refusal had no effect that could go unheard of.
            lost = fate.lost and answer.status_code < 400
            self._record(request, answer, lost=lost)
            return LostAnswer() if lost else answer

        return serve

    async def _answer(self, endpoint: Endpoint, call: Call, fate: Fate) -> Response:
        # First, whatever the fate: a token in a URL is a mistake that no fault may hide.
        if _token_in_query(call.request):
            return self._service.refuse(400, "A token in the URL is refused; send it in Authorization.")
        if fate.status is not None:
            return self._fail(fate.status, fate.retry_after)
        return await self._handle(endpoint, call)

    def _record(self, request: Request, answer: Response, *, lost: bool) -> None:
        received = Received(
            service=self._service.name,
            method=request.method,
            path=self._path(request),
            status=answer.status_code,
            lost=lost,
            at=self._context.now(),
        )
        self._context.ledger.receive(received)

    async def _stopped_during(self, latency_s: float) -> bool:
        if not latency_s:
            return False
        try:
            async with asyncio.timeout(latency_s):
                return await self._context.stopping.wait()
        except TimeoutError:
            return False

    async def _handle(self, endpoint: Endpoint, call: Call) -> Response:
        token = _bearer(call.request)
        if not endpoint.public and (not token or token.startswith(REVOKED)):
            return self._service.refuse_token(missing=not token)
        try:
            return await endpoint.handler(call)
        except RefusedError as refused:
            return refused.answer
        except MalformedBodyError as error:
            return self._service.refuse(400, f"{error}.")

    def _fail(self, status: int, retry_after: float) -> Response:
        match status:
            case 401:
                return self._service.refuse_token(missing=False)
            case 429:
                return self._service.refuse_rate(retry_after)
            case 503:
                return self._service.refuse(
                    status, "Service temporarily unavailable, please try again later."
                )
            case _:
                return self._service.refuse(status, "An error of the sandbox's making, before any effect.")

    async def _nowhere(self, call: Call) -> Response:
        return self._service.refuse_path(call.request.method, self._path(call.request))

    def _path(self, request: Request) -> str:
        return str(request.scope["path"]).removeprefix(self._prefix) or "/"

    def _call(self, request: Request) -> Call:
        token = _bearer(request)
        base = f"{request.url.scheme}://{request.url.netloc}{self._prefix}"
        return Call(request=request, account=account_of(token) if token else "", base=base)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _token_in_query(request: Request) -> bool:
    return any(name in request.query_params for name in TOKEN_FIELDS)
