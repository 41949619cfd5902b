"""The gate: what every request passes before the application sees it, and every answer before it leaves.

It checks whom a request is for and from which page it comes, bounds the body and the time that it may take, and puts the
headers that keep browsers safe on every answer. It knows no token: that is for what lies behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPSendMessage, Message, Receive, Scope, Send

from jobrunner_http.addresses import Addresses, bucket_of
from jobrunner_http.problems import MEDIA_TYPE, ProblemError
from jobrunner_http.settings import HttpSettings
from jobrunner_http.trail import Trail

UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
"""Methods that change something."""

DRAIN_S = 1.0
DRAIN_BYTES = 1 << 20
"""How long, and how much of, a body that is too large is still read and thrown away: a client that is cut off while it
sends does not see the answer."""

NO_HEAD = ("/api/events", "/login/")
"""Beginnings of addresses that HEAD is no method of: an answer without an end, and links that are good once."""

PROBES = frozenset({"/livez", "/readyz"})
"""Paths for whoever keeps the process running, which asks by address and not by name."""

NO_PAGES = ("/api/", "/static/", "/metrics", "/livez", "/readyz")
"""Beginnings of addresses that never answer with a page."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not no-referrer: with it browsers say `Origin: null` for the forms of our own pages.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

Headers = Mapping[bytes, bytes]


class Gate:
    """An ASGI application in front of another.

    Args:
        app: What lies behind.
        settings: The bounds, and the names that are allowed.
        trail: Where requests that are not let in are counted.
        addresses: Says where requests come from.
        page: Makes the page for a browser whose request is not let in; without it, browsers get problems too.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        trail: Trail,
        addresses: Addresses | None = None,
        page: Callable[[Scope, ProblemError], bytes] | None = None,
    ) -> None:
        self._app = app
        self._addresses = addresses or Addresses()
        self._page = page
        self._under_way: Counter[str] = Counter()
        self._settings = settings
        self._trail = trail
        self._hosts = settings.hosts
        self._any_host = "*" in settings.allowed_hosts
        self._origins = frozenset(
            origin.lower() for origin in (*settings.cors_origins, settings.origin) if origin
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == ScopeType.WEBSOCKET:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": None})
            return
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        unsafe = scope["method"] in UNSAFE
        body = _Body(
            receive,
            expected=headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers,
            raises=unsafe,
            max_bytes=self._settings.max_body,
            seconds=self._settings.receive_timeout,
        )
        heads = not _plain(inner(scope)).startswith(NO_HEAD)
        answer = _Answer(send, body, heads=heads)
        client = scope.get("client")
        address = self._addresses.of(client[0] if client else "", scope["headers"])
        bucket = bucket_of(address)
        refusal = self._refusal(scope, headers, bucket)
        if refusal is not None:
            self._trail.denied(refusal.status, scope["path"], address)
            if refusal.status == 413:
                await _drain(receive)
            page = self._page(scope, refusal) if self._page and wants_page(inner(scope), headers) else None
            await answer.problem(refusal, page)
            return
        self._under_way[bucket] += 1
        try:
            # The server leaves the body of a HEAD out: what lies behind answers it as a GET.
            asked: Scope = {**scope, "method": "GET"} if heads and scope["method"] == "HEAD" else scope
            await self._app(asked, body, answer)
        finally:
            body.let_go()
            answer.let_go()
            self._under_way[bucket] -= 1
            if not self._under_way[bucket]:
                del self._under_way[bucket]  # memory for those who ask now only

    def _refusal(self, scope: Scope, headers: Headers, bucket: str) -> ProblemError | None:
        path = inner(scope)
        if path not in PROBES and not self._is_for_us(scope["headers"]):
            return ProblemError(
                421, "this is not the host that the request is for; JOBRUNNER_HTTP_ALLOWED_HOSTS lists more"
            )
        method = scope["method"]  # type: ignore[typeddict-item]  # there is one where the type is http
        if method in UNSAFE and not self._is_ours(headers):
            return ProblemError(403, "a page of another origin may not change anything here")
        if path not in PROBES and self._under_way[bucket] >= self._settings.max_per_address:
            many = f"more than {self._settings.max_per_address:,} requests of this address are under way"
            return ProblemError(429, many, headers={"retry-after": "1"})
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._settings.max_body:
            return ProblemError(413, f"the body is larger than {self._settings.max_body:,} bytes")
        return None

    def _is_for_us(self, headers: object) -> bool:
        """Whether the Host header names us, exactly once: else a page that points its own name here could read answers."""
        if self._any_host:
            return True
        named = [value for name, value in headers if name.lower() == b"host"]  # type: ignore[attr-defined]  # pairs of bytes
        if len(named) != 1:
            return False
        host = named[0].decode("latin-1").lower()
        name, colon, port = host.rpartition(":")
        if colon and port.isascii() and port.isdigit():
            host = name
        return host in self._hosts

    def _is_ours(self, headers: Headers) -> bool:
        """Whether a change comes from one of our own pages, or from no page at all.

        Source: browsers send Sec-Fetch-Site with every request (W3C Fetch Metadata), and Origin with every change.
        """
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin in self._origins:
            return True
        site = headers.get(b"sec-fetch-site", b"").decode("latin-1").lower()
        if site not in ("", "same-origin", "none"):
            return False
        if not origin:
            # A browser names its page in one way or the other; a cookie that comes with neither is not from one of ours.
            return bool(site) or b"cookie" not in headers or b"authorization" in headers
        host = headers.get(b"host", b"").decode("latin-1").lower()
        return origin in (f"http://{host}", f"https://{host}")


def inner(scope: Scope) -> str:
    """A request's path on this site, which may be mounted in another."""
    return scope["path"].removeprefix(scope.get("root_path", "").rstrip("/"))


def _plain(path: str) -> str:
    """A path as the routes read it: slashes that are doubled, or stand at the end, say nothing."""
    return "/" + "/".join(part for part in path.split("/") if part)


def wants_page(path: str, headers: Headers) -> bool:
    """Whether a browser asks for something to show: for programs, and for what programs ask for, there are problems."""
    return b"text/html" in headers.get(b"accept", b"") and not path.startswith(NO_PAGES)


class _Body:
    """A request's body, no larger and no slower than it may be.

    Where nobody reads the body, only whether the client is still there, too much of it counts as if it were not.
    """

    def __init__(
        self, receive: Receive, *, expected: bool, raises: bool, max_bytes: int, seconds: float
    ) -> None:
        self._receive = receive
        self.is_left = expected
        """Whether some of it has not arrived."""
        self._raises = raises
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._deadline: float | None = None
        self._whole = False

    def let_go(self) -> None:
        """Hold the server's side no longer: an error's traceback may keep this one, and with it the connection."""
        self._whole, self._receive = True, _gone

    async def __call__(self) -> HTTPReceiveMessage:
        if self._whole:  # what comes now is that the client went away, and may take its time
            return await self._receive()  # type: ignore[return-value]  # of http only
        loop = asyncio.get_running_loop()
        if self._deadline is None:
            self._deadline = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            self._whole = True
            if not self._raises:
                return {"type": "http.disconnect"}
            late = f"the body did not arrive within {self._seconds:g} seconds"
            raise ProblemError(408, late, headers={"connection": "close"}) from None
        if message["type"] == "http.disconnect" and self._raises:
            self._whole = True
            broken = "the body broke off before its end; send all of it, as long as its length says"
            raise ProblemError(400, broken, headers={"connection": "close"})
        if message["type"] == "http.request":
            self._left -= len(message["body"])
            self._whole = not message["more_body"]
            self.is_left = not self._whole
            if self._left < 0:
                self._whole = True
                if not self._raises:
                    return {"type": "http.disconnect"}
                if message["more_body"]:
                    await _drain(self._receive)
                large = f"the body is larger than {self._max_bytes:,} bytes"
                raise ProblemError(413, large, headers={"connection": "close"})
        return message  # type: ignore[return-value]  # of http only


async def _gone() -> HTTPReceiveMessage:
    return {"type": "http.disconnect"}


async def _nowhere(message: Message) -> None:
    del message


async def _drain(receive: Receive) -> None:
    """Read on for a moment, and keep nothing."""
    left = DRAIN_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message["more_body"]:
                    return
                left -= len(message["body"])


class _Answer:
    """An answer on its way out, with the headers that keep browsers safe."""

    def __init__(self, send: Send, body: _Body, *, heads: bool) -> None:
        self._send = send
        self._body = body
        self._heads = heads

    def let_go(self) -> None:
        """As a body's."""
        self._send = _nowhere

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message["headers"]}
            added = [(name, value) for name, value in HEADERS if name not in there]
            own = [(name, self._allowed(name, value)) for name, value in message["headers"]]
            if self._body.is_left and b"connection" not in there:
                # The server would wait for the rest without a deadline, so as to use the connection again.
                added.append((b"connection", b"close"))
            message = {**message, "headers": [*own, *added]}
        await self._send(message)

    def _allowed(self, name: bytes, value: bytes) -> bytes:
        """A header's value; in a list of methods HEAD stands wherever GET does."""
        methods = set(value.split(b", ")) if self._heads and name.lower() == b"allow" else set()
        return b", ".join(sorted({*methods, b"HEAD"})) if b"GET" in methods else value

    async def problem(self, problem: ProblemError, page: bytes | None = None) -> None:
        """Answer with a problem, or with the page that says it."""
        body = problem.body() if page is None else page
        kind = MEDIA_TYPE if page is None else "text/html; charset=utf-8"
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *((name.encode(), value.encode()) for name, value in problem.headers.items()),
        ]
        start: HTTPSendMessage = {
            "type": "http.response.start",
            "status": problem.status,
            "headers": headers,
        }
        await self(start)
        await self({"type": "http.response.body", "body": body, "more_body": False})
