"""One question to a platform's API: the token in its header, the answer bounded, every way to fail sorted.

The token goes into the Authorization header and nowhere else; redirects are not followed, so it reaches no other
host. Never retries: that is the job's business.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
import msgspec

from jobrunner_analytics.failures import PlatformError, RefusedError, TransientError, clip

T = TypeVar("T")

MOST_ANSWER = 8 << 20
"""Bytes of an answer that are read: a page of a hundred posts has a few hundred kilobytes."""

MOST_WAIT_S = 86_400.0
"""The longest wait that is taken from a header: no rate limit of these platforms lasts longer."""

RATE_WAIT_S = 60.0
"""Seconds to wait where a platform limits and says nothing: the shortest window that any of them counts in."""


DEADLINE_S = 300.0
"""Seconds for a question as a whole, where the context does not say: the timeouts are for each read, and a server that
drips would hold a job for ever.
"""

MOST_SHOWN = 65_536
PAGE = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)
TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})<", re.IGNORECASE)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform said when it did not tell what it was asked.

    Args:
        code: The platform's own code, empty if it gave none.
        subcode: Its code below that.
        message: Its text.
        retry_after: Seconds that it asks to wait, None if it says nothing.
    """

    code: str = ""
    subcode: str = ""
    message: str = ""
    retry_after: float | None = None


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one platform words what it refuses.

    Args:
        name: The platform's name for people.
        read: Reads an answer of status 300 and more.
        limited: Codes that mean too many requests, whatever the status.
        passing: Codes that mean a failure of its own that passes, whatever the status.
        expired: Codes that mean that the token is not good, whatever the status.
    """

    name: str
    read: Callable[[httpx.Response], Problem]
    limited: frozenset[str] = frozenset()
    passing: frozenset[str] = frozenset()
    expired: frozenset[str] = frozenset()


class Api:
    """A platform's API as one account sees it.

    Args:
        http: The worker's client.
        dialect: How the platform words what it refuses.
        base: The API's address.
        token: The account's bearer token.
        headers: What goes on every call besides.
        deadline: Seconds for one question as a whole.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        dialect: Dialect,
        base: str,
        token: str,
        headers: Mapping[str, str] | None = None,
        deadline: float = DEADLINE_S,
    ) -> None:
        self._http = http
        self._dialect = dialect
        self._base = base.rstrip("/")
        self._token = token
        self._deadline_s = deadline
        self._headers = {**(headers or {}), "Authorization": f"Bearer {token}"}

    async def get(self, path: str, kind: type[T], *, params: Mapping[str, str] | None = None) -> T:
        """Ask for something and return the answer, read as a type.

        Args:
            path: The path below the API's address, quoted, with a query where `params` would quote too much.
            kind: The type of the answer.
            params: The query.

        Raises:
            TransientError: It did not work and can be tried again.
            RefusedError: It will never work.
        """
        name = self._dialect.name
        # An empty set of parameters would take away the query that the path has.
        request = self._http.build_request(
            "GET", self._base + path, params=params or None, headers=self._headers
        )
        try:
            async with asyncio.timeout(self._deadline_s):
                answer, content = await self._exchange(request)
        except httpx.HTTPError as error:
            described = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise TransientError(f"{name} did not answer: {described}") from None
        except TimeoutError:
            raise TransientError(f"{name} did not answer within {self._deadline_s:g} s") from None
        if not answer.is_success:
            headers = [pair for pair in answer.headers.multi_items() if pair[0] not in _OF_THE_BODY]
            raise self._judged(httpx.Response(answer.status_code, headers=headers, content=content))
        try:
            return msgspec.json.decode(content, type=kind)
        except UNREADABLE as error:
            raise TransientError(
                f"{name} answered {answer.status_code} with what cannot be read: {clip(str(error))}"
            ) from None

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        answer = await self._http.send(request, stream=True, follow_redirects=False)
        content = bytearray()
        try:
            async for part in answer.aiter_bytes():
                content += part
                if len(content) > MOST_ANSWER:
                    break
        finally:
            await answer.aclose()
        if len(content) > MOST_ANSWER and answer.is_success:
            raise TransientError(f"{self._dialect.name} answered with more than {MOST_ANSWER >> 20} MiB")
        # What is refused is sorted by its status, however much is said about it.
        return answer, bytes(content[:MOST_ANSWER])

    def _judged(self, answer: httpx.Response) -> PlatformError:
        dialect, problem, status = self._dialect, self._dialect.read(answer), answer.status_code
        codes = "/".join(part for part in (str(status), problem.code, problem.subcode) if part)
        # Struck out before the text is cut, or the half of a token would be left of what Meta quotes. No payload holds this
        # token, so nothing after this would strike it out.
        said = problem.message.replace(self._token, "***") if self._token else problem.message
        text = f"{dialect.name} answered {clip(codes)}: {clip(said) or 'no message'}"
        wait = None if problem.retry_after is None else min(MOST_WAIT_S, max(0.0, problem.retry_after))
        if status == httpx.codes.TOO_MANY_REQUESTS or problem.code in dialect.limited:
            return TransientError(text, retry_after=RATE_WAIT_S if wait is None else wait)
        expired = status == httpx.codes.UNAUTHORIZED or problem.code in dialect.expired
        if not expired and (status in (408, 425) or status >= 500 or problem.code in dialect.passing):
            return TransientError(text, retry_after=wait)
        advice = " (the token is no longer good: put a new one into the accounts file)" if expired else ""
        if 300 <= status < 400:
            advice = " (redirects are not followed: set the platform's address to where its API is)"
        return RefusedError(text + advice, status=status, code=problem.code, subcode=problem.subcode)


_OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that speak of the body as it came, which is read by now."""


def wait_named(answer: httpx.Response) -> float | None:
    """Return the seconds that a Retry-After header names, by number or by date; None without one."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text) if text else math.nan
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - server_time(answer))
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def server_time(answer: httpx.Response) -> float:
    """Return the Unix time of the server that answered; this machine's where it does not tell.

    A reset time is compared with the clock that made it, so that a worker whose clock is off waits as long.
    """
    try:
        return parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return time.time()


def text_of(answer: httpx.Response) -> str:
    """Return an answer's body as text for people, whatever character set it claims; of an HTML page its title."""
    text = answer.content[:MOST_SHOWN].decode("utf-8", "replace")
    if not PAGE.match(text):
        return text
    title = TITLE.search(text)
    return f"an HTML page, {title.group(1).strip()!r}" if title else "an HTML page"


def json_object(answer: httpx.Response) -> dict[str, object]:
    """Return a refusal's body as an object, empty if it is none."""
    try:
        return msgspec.json.decode(answer.content, type=dict[str, object])
    except UNREADABLE:
        return {}
