"""Instagram's professional accounts: their media, and each one's insights.

The account is the Instagram user's id, the token one with `instagram_basic` and `instagram_manage_insights`.
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
    INSTAGRAM,
    PAGE,
    InsightReader,
    Paging,
    is_gone,
    list_params,
    moment,
    open_api,
)

METRICS = {
    "impressions": "views",
    "views": "views",
    "reach": "reach",
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
    "saves": "saved",
    "engagements": "total_interactions",
}
"""Meta retired `impressions` in April 2025 for all versions, and names `views` in its place."""

POST_ID = re.compile(r"[0-9]{15,20}")
FIELDS = "id,timestamp,owner"


class _Owner(msgspec.Struct, frozen=True):
    id: str = ""


class _Media(msgspec.Struct, frozen=True):
    id: str
    timestamp: str = ""
    owner: _Owner = _Owner()


class _List(msgspec.Struct, frozen=True):
    data: list[_Media] = []
    paging: Paging = Paging()


async def read_page(query: Query, account: Account, cursor: str, context: Context) -> Page:
    """Read 25 media of an account; see `jobrunner_analytics.Platform`."""
    api = open_api(account, context, INSTAGRAM)
    insights = InsightReader(api, query.metrics)
    if query.post_ids:
        start = int(cursor or 0)
        media = await _named(api, query.post_ids[start : start + PAGE], account)
        after = str(start + PAGE) if start + PAGE < len(query.post_ids) else ""
    else:
        node = quote(account.id, safe="")
        params = list_params(query, fields="id,timestamp", cursor=cursor)
        listed = await api.get(f"/{node}/media", _List, params=params)
        media = [one for one in listed.data if (made := moment(one.timestamp)) and query.holds(made)]
        after = listed.paging.next_cursor
    figures = [
        PostFigures(post_id=one.id, created_at=moment(one.timestamp), values=await insights.read(one.id))
        for one in media
    ]
    return Page(posts=tuple(figures), next_cursor=after, unsupported=tuple(insights.unsupported))


async def _named(api: Api, media_ids: tuple[str, ...], account: Account) -> list[_Media]:
    """Media by their ids; those of other accounts and those that are gone are left out."""
    media: list[_Media] = []
    for media_id in media_ids:
        try:
            one = await api.get(f"/{quote(media_id, safe='')}", _Media, params={"fields": FIELDS})
        except RefusedError as error:
            if not is_gone(error):
                raise
        else:
            # The owner is left out where it is another account than the token's.
            if one.owner.id == account.id:
                media.append(one)
    return media
