"""Facebook pages: the posts of a page, their counts, and each one's insights.

The account is the page's id, the token the page's with `pages_read_engagement` and `read_insights`.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import Api
from jobrunner_analytics.failures import RefusedError
from jobrunner_analytics.platform import Context, Page, PostFigures, Query
from jobrunner_analytics.platforms.graph import (
    FACEBOOK,
    InsightReader,
    Paging,
    is_gone,
    list_params,
    moment,
    open_api,
    read_each,
    read_named,
    resume_at,
    resumed,
)

METRICS = {
    "impressions": "post_media_view",
    "views": "post_media_view",
    "reach": "post_total_media_view_unique",
    "clicks": "post_clicks",
    "likes": "reactions",
    "comments": "comments",
    "shares": "shares",
}
"""Meta retired `post_impressions` in June 2026 for all versions, and names `post_media_view` in its place."""

POST_ID = re.compile(r"[0-9]+_[0-9]+")
COUNTS = ("reactions", "comments", "shares")
FIELDS = (
    "id,created_time,shares,reactions.limit(0).summary(total_count),comments.limit(0).summary(total_count)"
)


class _Summary(msgspec.Struct, frozen=True):
    total_count: int = 0


class _Edge(msgspec.Struct, frozen=True):
    summary: _Summary = _Summary()


class _Shares(msgspec.Struct, frozen=True):
    count: int = 0


class _Post(msgspec.Struct, frozen=True):
    id: str
    created_time: str = ""
    reactions: _Edge | None = None
    comments: _Edge | None = None
    shares: _Shares = _Shares()  # left out by Facebook where nobody shared it

    def counts(self) -> dict[str, float]:
        """What the post itself tells, by field."""
        counts: dict[str, float] = {"shares": self.shares.count}
        if self.reactions is not None:
            counts["reactions"] = self.reactions.summary.total_count
        if self.comments is not None:
            counts["comments"] = self.comments.summary.total_count
        return counts


class _Posts(msgspec.Struct, frozen=True):
    data: list[_Post] = []
    paging: Paging = Paging()


async def read_page(query: Query, account: Account, cursor: str, context: Context) -> Page:
    """Read 25 posts of a page; see `jobrunner_analytics.Platform`."""
    api = open_api(account, context, FACEBOOK)
    insights = InsightReader(api, [name for name in query.metrics if name not in COUNTS])

    async def figures(post: _Post) -> PostFigures:
        values = post.counts() | await insights.read(post.id)
        wanted = {name: value for name, value in values.items() if name.partition(".")[0] in query.metrics}
        return PostFigures(post_id=post.id, created_at=moment(post.created_time), values=wanted)

    async def named(number: int) -> PostFigures | None:
        post = await _named(api, query.post_ids[number], account)
        return await figures(post) if post else None

    if query.post_ids:
        page = await read_named(query, cursor, named)
    else:
        node = quote(account.id, safe="")
        params = list_params(query, fields=FIELDS, cursor=cursor)
        listed = await api.get(f"/{node}/posts", _Posts, params=params)
        posts = [post for post in listed.data if (made := moment(post.created_time)) and query.holds(made)]
        page = await read_each(
            posts[resumed([post.id for post in posts], cursor) :],
            figures,
            cursor_of=lambda post: resume_at(cursor, post.id),
            next_cursor=listed.paging.next_cursor,
        )
    return msgspec.structs.replace(page, unsupported=tuple(insights.unsupported))


async def _named(api: Api, post_id: str, account: Account) -> _Post | None:
    """A post by its id; None for one that is gone or another page's."""
    if not post_id.startswith(f"{account.id}_"):
        return None
    try:
        return await api.get(f"/{quote(post_id, safe='')}", _Post, params={"fields": FIELDS})
    except RefusedError as error:
        if not is_gone(error):
            raise
        return None
