"""Logging in and out of the dashboard: a token in exchange for a cookie that only this site is sent and no script can read."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import URLEncodedBody
from msgspec import Meta

from jobrunner_http.api.asking import Ask, Named, OnSite
from jobrunner_http.door import COOKIE, address_of, admitted, cookie_of, open_to
from jobrunner_http.problems import ProblemError
from jobrunner_http.site import Site

_OURS = re.compile(r"/([a-z]+(/[A-Za-z0-9._-]+)*)?", re.ASCII)
"""Paths of pages: a second slash or a backslash at the start would name another host."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """The form of the log-in page."""

    token: Annotated[str, Meta(max_length=200)] = ""
    wanted: Annotated[str, Meta(max_length=500)] = ""
    """The page that was asked for without being logged in."""

    @property
    def page(self) -> str:
        """The page to go to: one of ours, whatever the form says."""
        return self.wanted if _OURS.fullmatch(self.wanted) else "/"


@post("/login", opt=open_to(None), include_in_schema=False)
async def log_in(site: OnSite, request: Ask, data: URLEncodedBody[Login]) -> Response[None]:
    """Take a token from a form and give the cookie; one that is no good goes back to the form."""
    token = data.token.strip()
    caller = await admitted(site, request, token)
    if caller is None:
        site.trail.denied(401, "/login", address_of(site, request))
        return _redirect(request, "/login?failed=1")
    site.changing.logged(caller, address_of(site, request), "logged_in")
    return _redirect(request, data.page, cookie=_cookie(site, request, token))


@get("/login/{code:str}", opt=open_to(None), include_in_schema=False)
async def log_in_once(site: OnSite, request: Ask, code: Named) -> Response[None]:
    """Take the code of the link that `serve --dev` prints; it is good once."""
    token = site.redeem(code)
    caller = await site.tokens.caller(token) if token else None
    if token is None or caller is None:
        raise ProblemError(
            404, "this link was used, or is none; start `jobrunner serve --dev` again for a new one"
        )
    site.changing.logged(caller, address_of(site, request), "logged_in")
    return _redirect(request, "/", cookie=_cookie(site, request, token))


@post("/logout", opt=open_to(None), include_in_schema=False)
async def log_out(site: OnSite, request: Ask) -> Response[None]:
    """Take the cookie back. The token stays good until it is revoked."""
    text = cookie_of(request.scope["headers"])  # type: ignore[arg-type]  # pairs of bytes
    caller = await site.tokens.caller(text) if text else None
    if caller is not None:
        site.changing.logged(caller, address_of(site, request), "logged_out")
    return _redirect(request, "/login", cookie=_cookie(site, request, "", max_age=0))


def _cookie(site: Site, request: Ask, value: str, max_age: int | None = None) -> Cookie:
    secure = request.url.scheme == "https" or site.settings.public_url.startswith("https:")
    path = request.scope.get("root_path", "") or "/"
    return Cookie(
        key=COOKIE,
        value=value,
        path=path,
        httponly=True,
        samesite="strict",
        secure=secure,
        max_age=max_age,
    )


def _redirect(request: Ask, path: str, *, cookie: Cookie | None = None) -> Response[None]:
    target = request.scope.get("root_path", "") + path
    return Response(
        None,
        status_code=303,
        media_type="text/plain",  # as JSON it would say null
        headers={"location": target, "cache-control": "no-store"},
        cookies=[cookie] if cookie else [],
    )


HANDLERS = (log_in, log_in_once, log_out)
