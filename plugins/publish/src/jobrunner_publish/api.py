"""One call to a platform's API: the token in its header, the answer bounded, and every way to fail sorted.

The token goes into the Authorization header and nowhere else; redirects are not followed, so it reaches no
other host. Never retries: that is the job's business.
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

from jobrunner_publish.failures import AnswerLostError, RefusedError, TransientError
from jobrunner_publish.verdicts import MOST_WAIT_S, Problem, Rule, judge

T = TypeVar("T")

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
"""Failures before the first byte of the request: it cannot have had an effect."""

MOST_ANSWER = 8 << 20
"""Bytes of an answer that are read: a page of a hundred long posts has a few hundred kilobytes."""

DEADLINE_S = 300.0
"""Seconds for a call as a whole, where the context does not say: the timeouts are for each read, and a server that drips
would hold a job for ever. A picture of 20 MB takes as long at half a megabit a second.
"""

OF_THE_BODY = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that speak of the body as it came, which is read by now."""

MOST_SHOWN = 65_536
PAGE = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)
TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{1,200})<", re.IGNORECASE)

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """How one platform words what it refuses.

    Args:
        name: The platform's name for people.
        read: Reads an answer of status 300 and more.
        rules: The table that sorts what was read.
    """

    name: str
    read: Callable[[httpx.Response], Problem]
    rules: tuple[Rule, ...]


class Api:
    """A platform's API as one account sees it.

    Args:
        http: The worker's client.
        dialect: How the platform words what it refuses.
        base: The API's address.
        token: The account's bearer token.
        headers: What goes on every call besides.
        deadline: Seconds for one call as a whole.
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
        self._headers = {"Authorization": f"Bearer {token}", **(headers or {})}

    async def get(self, path: str, *, params: Mapping[str, str] | None = None) -> httpx.Response:
        """Ask for something; see `send`."""
        return await self.send("GET", path, params=params)

    async def post(
        self,
        path: str,
        *,
        json: object = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Have something done; see `send`.

        Args:
            path: The path below the API's address, quoted.
            json: The body, written as JSON.
            data: The text fields of a form, in place of `json`.
            files: Its files: field to name, content and type.
            params: The query.
            headers: What goes on this call alone.
        """
        body = {} if json is None else {"content": msgspec.json.encode(json)}
        more = {} if json is None else {"Content-Type": "application/json"}
        return await self.send(
            "POST", path, params=params, headers={**more, **(headers or {})}, data=data, files=files, **body
        )

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Send one request and return the answer, of status 2xx.

        Args:
            method: The HTTP method.
            path: The path below the API's address, quoted; or a whole address that the caller has checked.
            params: The query.
            headers: What goes on this call alone.
            data: The text fields of a form.
            files: Its files: field to name, content and type.
            content: The body as it is, in place of a form.

        Raises:
            TransientError: It did not work and can be tried again; nothing was done.
            AnswerLostError: Nobody knows whether it was done.
            RefusedError: It will never work.
            DuplicateError: What was asked for is there already.
        """
        name = self._dialect.name
        url = path if path.startswith(("http://", "https://")) else self._base + path
        try:
            request = self._http.build_request(
                method,
                url,
                params=params,
                headers={**self._headers, **(headers or {})},
                data=data,
                files=files,
                content=content,
            )
            async with asyncio.timeout(self._deadline_s):
                answer = await self._exchange(request)
        except NEVER_SENT as error:
            raise TransientError(f"{name} cannot be reached: {_described(error)}") from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            # Their texts quote the header or the address in question, and with it perhaps the token.
            raise RefusedError(f"{name}: the request cannot be made from what this account gives") from None
        except httpx.HTTPError as error:
            raise AnswerLostError(f"the answer of {name} was lost: {_described(error)}") from None
        except TimeoutError:
            raise AnswerLostError(f"{name} did not answer within {self._deadline_s:g} s") from None
        if answer.is_success:
            return answer
        problem = self._dialect.read(answer)
        # Struck out before the text is cut, or the half of a token would be left of what Meta quotes.
        said = problem.message.replace(self._token, "***") if self._token else problem.message
        raise judge(name, msgspec.structs.replace(problem, message=said), self._dialect.rules)

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and read no more of its answer than a platform says."""
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
            raise AnswerLostError(f"{self._dialect.name} answered with more than {MOST_ANSWER >> 20} MiB")
        # What is refused is sorted by its status, however much is said about it.
        headers = [pair for pair in answer.headers.multi_items() if pair[0] not in OF_THE_BODY]
        return httpx.Response(
            answer.status_code, headers=headers, content=bytes(content[:MOST_ANSWER]), request=request
        )

    def decode(self, answer: httpx.Response, kind: type[T]) -> T:
        """Read an answer's JSON.

        Raises:
            AnswerLostError: It is not what this API answers; the call may have had its effect all the same.
        """
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except UNREADABLE as error:
            problem = f"{self._dialect.name} answered {answer.status_code} with what cannot be read: {error}"
            raise AnswerLostError(problem) from None


def wait_named(answer: httpx.Response) -> float | None:
    """Return the seconds, a day at most, that a Retry-After header names by number or by date; None without one."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(text) if text else math.nan
    except ValueError:
        seconds = seconds_until(text, answer)
    return None if math.isnan(seconds) else min(MOST_WAIT_S, max(0.0, seconds))


def seconds_until(date: str, answer: httpx.Response) -> float:
    """Return the seconds from an answer to a date in the form of HTTP; not a number where it is none."""
    try:
        return parsedate_to_datetime(date).timestamp() - server_time(answer)
    except (ValueError, OverflowError):
        return math.nan


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


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
