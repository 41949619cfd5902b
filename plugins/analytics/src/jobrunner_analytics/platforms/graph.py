"""What Facebook and Instagram share: Meta's Graph API, its lists, its insights, and how it words what it refuses.

Source: Meta's pages "Handling Errors", "Paginated Results", "Page Insights" and "Instagram Media Insights".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

import httpx
import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import UNREADABLE, Api, Dialect, Problem, json_object, text_of, wait_named
from jobrunner_analytics.failures import RefusedError, TransientError
from jobrunner_analytics.platform import Context, Page, PostFigures, Query

T = TypeVar("T")

PAGE = 25
"""Posts a page: each has a call of its own for its insights, so a page is a step of a few seconds."""

RESUME = "|"
"""Between a list's own cursor, which is base64, and the post with which a page that was cut goes on."""

GONE = {("100", "33")}
"""Codes and subcodes of a post that is not there, or is not the token's to see."""

TOO_FEW_VIEWERS = "10"
BEFORE_CONVERSION = "2108006"
"""The subcode for media that were posted before the account became a professional one: they have no insights."""

NUMBER = re.compile(r"-?[1-9][0-9]{0,9}")
INVALID_PARAMETER = "100"
LIMITED = frozenset(["4", "17", "32", "613", "80001", "80002", "80006", "80008"])
PASSING = frozenset(["1", "2", "-1", "-2"])
EXPIRED = frozenset(["102", "104", "190", "463", "467"])


class Cursors(msgspec.Struct, frozen=True):
    """Where a list's next page begins."""

    after: str = ""


class Paging(msgspec.Struct, frozen=True):
    """How a list goes on. The address in `next` holds a token and is not used; that it is there is."""

    cursors: Cursors = Cursors()
    next: str = ""

    @property
    def next_cursor(self) -> str:
        """Where the next page begins, empty at the end."""
        return self.cursors.after if self.next else ""


class _Value(msgspec.Struct, frozen=True):
    value: float | dict[str, float] | None = None


class _Insight(msgspec.Struct, frozen=True):
    name: str
    values: list[_Value] = []


class _Insights(msgspec.Struct, frozen=True):
    data: list[_Insight] = []


class _Usage(msgspec.Struct, frozen=True):
    estimated_time_to_regain_access: float = 0


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of the Graph API, field by field: a code counts though the text beside it is missing."""
    error = json_object(answer).get("error")
    said = error if isinstance(error, dict) else {}
    message = said.get("message") or ("" if said else text_of(answer))
    return Problem(
        code=_code(said.get("code")),
        subcode=_code(said.get("error_subcode")),
        message=message if isinstance(message, str) else "",
        retry_after=wait_named(answer) or _usage_wait(answer),
    )


def _code(value: object) -> str:
    """A number that is not 0, as a number or as text; empty where there is none."""
    text = str(value) if isinstance(value, int | str) else ""
    return text if NUMBER.fullmatch(text) else ""


FACEBOOK = Dialect(name="Facebook", read=read, limited=LIMITED, passing=PASSING, expired=EXPIRED)
INSTAGRAM = Dialect(name="Instagram", read=read, limited=LIMITED, passing=PASSING, expired=EXPIRED)


def open_api(account: Account, context: Context, dialect: Dialect) -> Api:
    """Return the Graph API, in the version of the settings, with the account's token."""
    settings = context.settings
    return context.api(account, dialect, f"{settings.graph_url.rstrip('/')}/{settings.graph_version}")


def list_params(query: Query, *, fields: str, cursor: str) -> dict[str, str]:
    """Return the parameters of a list of posts, newest first, of the query's range."""
    after, _, _ = cursor.partition(RESUME)
    params = {
        "fields": fields,
        "limit": str(PAGE),
        "since": str(int(query.start.timestamp())),
        "until": str(int(query.end.timestamp())),
    }
    return params | ({"after": after} if after else {})


def is_gone(error: RefusedError) -> bool:
    """Whether a refusal says that a post is not there."""
    return error.status == httpx.codes.NOT_FOUND or (error.code, error.subcode) in GONE


def moment(text: str) -> datetime | None:
    """Return the moment that the Graph API names, None where it names none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def resumed(post_ids: Sequence[str], cursor: str) -> int:
    """Return which of a list's posts a cursor goes on with; the first, where that post is no longer in the list."""
    _, _, first = cursor.partition(RESUME)
    return post_ids.index(first) if first in post_ids else 0


def resume_at(cursor: str, post_id: str) -> str:
    """Return the cursor that goes on with a post of the page that another cursor names."""
    after, _, _ = cursor.partition(RESUME)
    return f"{after}{RESUME}{post_id}"


async def read_each(
    items: Sequence[T],
    read_one: Callable[[T], Awaitable[PostFigures | None]],
    *,
    cursor_of: Callable[[T], str],
    next_cursor: str,
) -> Page:
    """Read posts one by one into a page, which ends before the first that does not come through.

    Args:
        items: What is to be read, in order.
        read_one: Reads one; None for one that is left out.
        cursor_of: The cursor that goes on with one of them.
        next_cursor: The cursor after all of them.

    Raises:
        TransientError: The first did not come through.
        RefusedError: One will never be read, nor will the account.
    """
    done: list[PostFigures] = []
    for number, item in enumerate(items):
        try:
            figures = await read_one(item)
        except TransientError as error:
            if not number:
                raise
            return Page(
                posts=tuple(done), next_cursor=cursor_of(item), cut=str(error), retry_after=error.retry_after
            )
        if figures is not None:
            done.append(figures)
    return Page(posts=tuple(done), next_cursor=next_cursor)


async def read_named(
    query: Query, cursor: str, read_one: Callable[[int], Awaitable[PostFigures | None]]
) -> Page:
    """Read a page of the posts that a query names; a cursor is the number of a post, from 0.

    Args:
        query: What is wanted.
        cursor: Where the page begins.
        read_one: Reads the post of a number; None for one that is left out.

    Raises:
        TransientError: The first did not come through.
        RefusedError: One will never be read, nor will the account.
    """
    start = int(cursor or 0)
    end = min(start + PAGE, len(query.post_ids))
    after = str(end) if end < len(query.post_ids) else ""
    return await read_each(range(start, end), read_one, cursor_of=str, next_cursor=after)


class InsightReader:
    """Reads posts' insights, and remembers which metrics the platform does not have.

    One metric that it does not have refuses all of a call: then each is asked for by itself, once.

    Args:
        api: The Graph API.
        metrics: The names of what is wanted.
    """

    def __init__(self, api: Api, metrics: Sequence[str]) -> None:
        self._api = api
        self._metrics = list(metrics)
        self._sorted = False
        self.unsupported: list[str] = []

    async def read(self, post_id: str) -> dict[str, float]:
        """Return a post's insights by name, empty where it has none."""
        if not self._metrics:
            return {}
        try:
            return await self._ask(post_id, self._metrics)
        except RefusedError as error:
            if _has_none(error):
                return {}
            if error.code != INVALID_PARAMETER or is_gone(error) or self._sorted:
                raise
        return await self._one_by_one(post_id)

    async def _one_by_one(self, post_id: str) -> dict[str, float]:
        values: dict[str, float] = {}
        known: list[str] = []
        for metric in self._metrics:
            try:
                values |= await self._ask(post_id, [metric])
            except RefusedError as error:
                if error.code != INVALID_PARAMETER or is_gone(error):
                    raise
                self.unsupported.append(metric)
            else:
                known.append(metric)
        self._metrics, self._sorted = known, True
        return values

    async def _ask(self, post_id: str, metrics: Sequence[str]) -> dict[str, float]:
        params = {"metric": ",".join(metrics), "period": "lifetime"}
        answer = await self._api.get(f"/{quote(post_id, safe='')}/insights", _Insights, params=params)
        values: dict[str, float] = {}
        for insight in answer.data:
            value = insight.values[-1].value if insight.values else None
            if isinstance(value, dict):
                values |= {f"{insight.name}.{part}": amount for part, amount in value.items()}
            elif value is not None:
                values[insight.name] = value
        return values


def _has_none(error: RefusedError) -> bool:
    """Whether a post has no insights, and the account others that do."""
    return error.subcode == BEFORE_CONVERSION or (
        error.code == TOO_FEW_VIEWERS and "viewers" in str(error).lower()
    )


def _usage_wait(answer: httpx.Response) -> float | None:
    """Seconds until calls are allowed again, which Meta tells in minutes, for each use case that it counts."""
    header = answer.headers.get("x-business-use-case-usage", "")
    try:
        usage = msgspec.json.decode(header, type=dict[str, list[_Usage]])
    except UNREADABLE:
        return None
    minutes = [one.estimated_time_to_regain_access for several in usage.values() for one in several]
    return max(minutes, default=0) * 60 or None
