"""The door: who makes a request, and whether it may do what it asks. Every route is closed unless it says for whom it is open.

A token comes in the Authorization header, or from the dashboard's log-in in a cookie; never in an address.
"""

from __future__ import annotations

import math
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import HTTPScope

from jobrunner.errors import InvalidNameError
from jobrunner.names import check_tenant
from jobrunner_http.access import Caller, Role
from jobrunner_http.problems import ProblemError
from jobrunner_http.site import Site

COOKIE = "jobrunner_token"
ROLE = "role"
"""Where a route says for whom it is: a `Role`, or None for everybody."""

CALLER = "jobrunner.caller"
"""Where a request's scope keeps its caller."""

MAX_COOKIE = 8192

CHALLENGE = {"www-authenticate": 'Bearer realm="jobrunner"'}

Connection = ASGIConnection[Any, Any, Any, Any]


def open_to(role: Role | None) -> dict[str, object]:
    """What a route says for whom it is."""
    return {ROLE: role}


class Door:
    """Lets requests in; a guard of every route.

    Args:
        site: Where tokens are known.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    async def __call__(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Find out who it is, and refuse what is not for it.

        Raises:
            ProblemError: 401 for nobody, 403 for too low a role or a foreign tenant, 429 for too many requests.
            StoreError: Tokens cannot be looked up now.
        """
        if connection.scope.get("method") == "OPTIONS" and ROLE not in handler.opt:
            return  # which methods there are is no secret
        role = handler.opt.get(ROLE, Role.ADMIN)
        if role is None:
            return
        caller = await self._caller(connection)
        if caller is None:
            self._deny(connection, 401)
            raise ProblemError(401, "a valid token is needed: Authorization: Bearer TOKEN", headers=CHALLENGE)
        wait_s = self._site.rates.wait(caller.token_id)
        if wait_s:
            raise ProblemError(
                429,
                f"the token asks more than {self._site.settings.rate:g} times a second",
                headers={"retry-after": str(math.ceil(wait_s))},
            )
        if not caller.may(role):
            self._deny(connection, 403)
            raise ProblemError(
                403, f"this needs a token of the role {role.label}; yours is {caller.role.label}"
            )
        caller = msgspec.structs.replace(caller, address=address_of(self._site, connection))
        connection.scope[CALLER] = self._narrowed(connection, caller)  # type: ignore[literal-required]  # a key of our own

    async def _caller(self, connection: Connection) -> Caller | None:
        headers: list[tuple[bytes, bytes]] = connection.scope["headers"]  # type: ignore[assignment]  # pairs of bytes
        given = [value for name, value in headers if name.lower() == b"authorization"]
        if given:
            return await admitted(self._site, connection, bearer_of(given))
        text = cookie_of(headers)
        if not text:
            return None
        caller = await admitted(self._site, connection, text)
        return None if caller is None else msgspec.structs.replace(caller, by_cookie=True)

    def _narrowed(self, connection: Connection, caller: Caller) -> Caller:
        """The caller held to the tenant that the request names, if it names one."""
        named = [value for name, value in connection.scope["headers"] if name.lower() == b"x-tenant-id"]
        if not named:
            return caller
        tenant = named[0].decode("latin-1")
        try:
            check_tenant(tenant)
        except InvalidNameError:
            tenant = ""
        if not tenant or len(named) != 1:
            raise ProblemError(422, "x-tenant-id does not name a tenant")
        narrowed = caller.narrowed(tenant)
        if narrowed is None:
            self._deny(connection, 403)
            raise ProblemError(403, "the token is not for the tenant that x-tenant-id names")
        return narrowed

    def _deny(self, connection: Connection, status: int) -> None:
        self._site.trail.denied(status, connection.scope["path"], address_of(self._site, connection))


async def admitted(site: Site, connection: Connection, text: str) -> Caller | None:
    """Who a token is that a request gives; None for nobody. A wrong one counts against the address that it comes from.

    Raises:
        ProblemError: 429 where too many wrong ones came from there: then this one is not looked at.
        StoreError: Tokens cannot be looked up now.
    """
    address = address_of(site, connection)
    wait_s = site.guesses.wait(address, text)
    if wait_s:
        site.trail.denied(429, connection.scope["path"], address)
        seconds = math.ceil(wait_s)
        raise ProblemError(
            429,
            f"too many wrong tokens came from this address; try again in {seconds} seconds",
            headers={"retry-after": str(seconds)},
        )
    caller = await site.tokens.caller(text)
    if caller is None:
        site.guesses.wrong(address, text)
    else:
        site.guesses.right(address, text)
    return caller


def bearer_of(given: list[bytes]) -> str:
    """The token of an Authorization header; empty where it is not one bearer token."""
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    return token.strip(" ") if len(given) == 1 and scheme.lower() == "bearer" else ""


def caller_of(scope: HTTPScope) -> Caller:
    """Who makes a request that was let in."""
    caller = scope[CALLER]  # type: ignore[literal-required]  # a key of our own
    assert isinstance(caller, Caller)
    return caller


def address_of(site: Site, connection: Connection) -> str:
    """Where a request comes from; behind a trusted proxy, what that says."""
    peer = connection.client.host if connection.client else ""
    return site.addresses.of(peer, connection.scope["headers"])


def cookie_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The log-in cookie; empty where there is none, or it cannot be read."""
    raw = b"; ".join(value for name, value in headers if name.lower() == b"cookie")
    if not raw or len(raw) > MAX_COOKIE:
        return ""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(raw.decode("latin-1"))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""
