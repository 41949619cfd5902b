"""The metrics on a port of their own, without a token: for scrapers in a network that only they are in."""

from __future__ import annotations

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPSendMessage, Receive, Scope, Send

from jobrunner.errors import StoreError
from jobrunner_http.metrics import MEDIA_TYPE, exposition, read
from jobrunner_http.problems import MEDIA_TYPE as PROBLEM
from jobrunner_http.problems import not_found, problem_of
from jobrunner_http.site import Site


def scraping(site: Site) -> ASGIApp:
    """An application that answers `GET /metrics`, and nothing else."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        if scope["type"] != ScopeType.HTTP:
            return
        if scope["path"] != "/metrics" or scope["method"] != "GET":
            await _answer(send, 404, PROBLEM, not_found("there is only GET /metrics here").body())
            return
        try:
            text = exposition(await read(site.admin))
        except StoreError as error:
            problem = problem_of(error)
            await _answer(send, problem.status, PROBLEM, problem.body(), problem.headers.items())
            return
        await _answer(send, 200, MEDIA_TYPE, text)

    return app


async def _answer(
    send: Send, status: int, media_type: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> None:
    start: HTTPSendMessage = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", media_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *((name.encode(), value.encode()) for name, value in headers),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
