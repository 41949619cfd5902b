"""Mastodon accounts: an account's statuses, or statuses by their ids, and their counts.

The account is the numeric id on its instance, the token one with `read:statuses`. The instance is the entry's, else
the settings'. A status on an instance of an entry's own is named `ID@HOST`, since ids repeat among instances.

Source: Mastodon's pages "accounts", "statuses" and "Rate limits".
"""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import Api, Dialect, Problem, json_object, server_time, text_of, wait_named
from jobrunner_analytics.failures import RefusedError
from jobrunner_analytics.platform import Context, Page, PostFigures, Query

METRICS = {
    "likes": "favourites_count",
    "shares": "reblogs_count",
    "comments": "replies_count",
}
POST_ID = re.compile(r"[0-9]{1,20}(@[A-Za-z0-9.:-]+)?")
COUNTS = ("favourites_count", "reblogs_count", "replies_count", "quotes_count")
PAGE = 40


class _Author(msgspec.Struct, frozen=True):
    id: str = ""


class _Status(msgspec.Struct, frozen=True):
    id: str
    created_at: str = ""
    account: _Author = _Author()
    favourites_count: int | None = None
    reblogs_count: int | None = None
    replies_count: int | None = None
    quotes_count: int | None = None

    @property
    def made(self) -> datetime | None:
        """When it was published."""
        try:
            moment = datetime.fromisoformat(self.created_at)
        except ValueError:
            return None
        return moment if moment.tzinfo else None

    def values(self) -> dict[str, float]:
        """The counts that the instance told."""
        told = {name: getattr(self, name) for name in COUNTS}
        return {name: float(value) for name, value in told.items() if value is not None}


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of an instance."""
    message = str(json_object(answer).get("error", "") or text_of(answer))
    return Problem(message=message, retry_after=_wait(answer))


DIALECT = Dialect(name="Mastodon", read=read)


async def read_page(query: Query, account: Account, cursor: str, context: Context) -> Page:
    """Read 40 statuses of an account; see `jobrunner_analytics.Platform`."""
    api = context.api(account, DIALECT, account.instance or context.settings.mastodon_url)
    host = urlsplit(account.instance).netloc if account.instance else ""
    if query.post_ids:
        start = int(cursor or 0)
        statuses = await _named(api, query.post_ids[start : start + PAGE], account, host)
        after = str(start + PAGE) if start + PAGE < len(query.post_ids) else ""
    else:
        params = {"limit": str(PAGE), "exclude_reblogs": "true"} | ({"max_id": cursor} if cursor else {})
        path = f"/api/v1/accounts/{quote(account.id, safe='')}/statuses"
        listed = await api.get(path, list[_Status], params=params)
        # Newest first, and a page can be short without being the last one: the end is an empty page.
        ended = not listed or any((made := status.made) and made < query.start for status in listed)
        statuses = [status for status in listed if (made := status.made) and query.holds(made)]
        after = "" if ended else listed[-1].id
    figures = [
        PostFigures(
            post_id=f"{status.id}@{host}" if host else status.id,
            created_at=status.made,
            values={name: value for name, value in status.values().items() if name in query.metrics},
        )
        for status in statuses
    ]
    return Page(posts=tuple(figures), next_cursor=after)


async def _named(api: Api, post_ids: tuple[str, ...], account: Account, host: str) -> list[_Status]:
    """Statuses by their ids; those of other accounts or instances and those that are gone are left out."""
    statuses: list[_Status] = []
    for post_id in post_ids:
        status_id, _, at = post_id.partition("@")
        if at != host:
            continue
        try:
            status = await api.get(f"/api/v1/statuses/{quote(status_id, safe='')}", _Status)
        except RefusedError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
        else:
            if status.account.id == account.id:
                statuses.append(status)
    return statuses


def _wait(answer: httpx.Response) -> float | None:
    """Seconds that an instance asks to wait; its own header is on every answer, and counts where the limit is met."""
    named = wait_named(answer)
    if named is not None or answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return named
    try:
        reset = datetime.fromisoformat(answer.headers.get("x-ratelimit-reset", ""))
    except ValueError:
        return None
    return max(0.0, reset.timestamp() - server_time(answer)) if reset.tzinfo else None
