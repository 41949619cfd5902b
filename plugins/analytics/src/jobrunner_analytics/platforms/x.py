"""X accounts: a user's timeline, or posts by their ids, and their metrics.

The account is the user's id. Public counts need any token; `url_link_clicks`, `user_profile_clicks` and `engagements`
need one of that very user, and X tells them for 30 days after a post.

Source: X's pages "Metrics", "Timelines" and "Posts lookup".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import Api, Dialect, Problem, json_object, server_time, text_of, wait_named
from jobrunner_analytics.platform import Context, Page, PostFigures, Query

METRICS = {
    "impressions": "impression_count",
    "views": "impression_count",
    "likes": "like_count",
    "comments": "reply_count",
    "shares": "retweet_count",
    "saves": "bookmark_count",
    "clicks": "url_link_clicks",
    "engagements": "engagements",
}
POST_ID = re.compile(r"[0-9]{1,19}")
PRIVATE = frozenset({"engagements", "url_link_clicks", "user_profile_clicks"})
PRIVATE_FOR = timedelta(days=29, hours=23)
"""How long after a post its private metrics are asked for: X gives them for 30 days, by its own clock."""

PAGE = 100
NOT_YET = timedelta(seconds=30)
"""X refuses an end that is less than ten seconds ago."""


class _Post(msgspec.Struct, frozen=True):
    id: str
    created_at: str = ""
    author_id: str = ""
    public_metrics: dict[str, float] = {}
    non_public_metrics: dict[str, float] = {}

    @property
    def made(self) -> datetime | None:
        """When it was published."""
        try:
            moment = datetime.fromisoformat(self.created_at)
        except ValueError:
            return None
        return moment if moment.tzinfo else None


class _Meta(msgspec.Struct, frozen=True):
    next_token: str = ""


class _Posts(msgspec.Struct, frozen=True):
    data: list[_Post] = []
    meta: _Meta = _Meta()


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of X."""
    body = json_object(answer)
    message = str(body.get("detail", "") or body.get("title", "") or text_of(answer))
    return Problem(message=message, retry_after=_wait(answer))


DIALECT = Dialect(name="X", read=read)


async def read_page(query: Query, account: Account, cursor: str, context: Context) -> Page:
    """Read 100 posts of a user; see `jobrunner_analytics.Platform`."""
    api = context.api(account, DIALECT, context.settings.x_url)
    now = datetime.fromtimestamp(context.now(), UTC)
    if query.post_ids:
        start = int(cursor or 0)
        named = await _by_ids(
            api, query.post_ids[start : start + PAGE], "created_at,public_metrics,author_id"
        )
        posts = [post for post in named if post.author_id == account.id]
        after = str(start + PAGE) if start + PAGE < len(query.post_ids) else ""
    else:
        end = min(query.end, now - NOT_YET)
        if end <= query.start:
            return Page()
        listed = await api.get(
            f"/2/users/{quote(account.id, safe='')}/tweets",
            _Posts,
            params=_timeline(query.start, end, cursor),
        )
        posts = [post for post in listed.data if (made := post.made) and query.holds(made)]
        after = listed.meta.next_token
    private = await _private(api, query, posts, since=now - PRIVATE_FOR)
    figures = []
    for post in posts:
        values = post.public_metrics | private.get(post.id, {})
        wanted = {name: value for name, value in values.items() if name in query.metrics}
        figures.append(PostFigures(post_id=post.id, created_at=post.made, values=wanted))
    return Page(posts=tuple(figures), next_cursor=after)


def _timeline(start: datetime, end: datetime, cursor: str) -> dict[str, str]:
    params = {
        "max_results": str(PAGE),
        "start_time": _stamp(start),
        "end_time": _stamp(end),
        "exclude": "retweets",  # whose figures are those of somebody else's post
        "tweet.fields": "created_at,public_metrics",
    }
    return params | ({"pagination_token": cursor} if cursor else {})


async def _by_ids(api: Api, ids: Sequence[str], fields: str) -> list[_Post]:
    params = {"ids": ",".join(ids), "tweet.fields": fields}
    return (await api.get("/2/tweets", _Posts, params=params)).data


async def _private(
    api: Api, query: Query, posts: Sequence[_Post], *, since: datetime
) -> dict[str, dict[str, float]]:
    """Private metrics by post, of those posts of which X still tells them."""
    wanted = PRIVATE & set(query.metrics)
    young = [post.id for post in posts if (made := post.made) and made > since]
    if not wanted or not young:
        return {}
    told = await _by_ids(api, young, "non_public_metrics")
    return {
        post.id: {name: value for name, value in post.non_public_metrics.items() if name in wanted}
        for post in told
    }


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _wait(answer: httpx.Response) -> float | None:
    """Seconds that X asks to wait: its own header names the Unix time at which the window ends."""
    named = wait_named(answer)
    if named is not None or answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
        return named
    try:
        reset = float(answer.headers.get("x-rate-limit-reset", ""))
    except ValueError:
        return None
    return max(0.0, reset - server_time(answer)) if math.isfinite(reset) else None
