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

    async def figures(one: _Media) -> PostFigures:
        return PostFigures(
            post_id=one.id, created_at=moment(one.timestamp), values=await insights.read(one.id)
        )

    async def named(number: int) -> PostFigures | None:
        one = await _named(api, query.post_ids[number], account)
        return await figures(one) if one else None

    if query.post_ids:
        page = await read_named(query, cursor, named)
    else:
        node = quote(account.id, safe="")
        params = list_params(query, fields="id,timestamp", cursor=cursor)
        listed = await api.get(f"/{node}/media", _List, params=params)
        media = [one for one in listed.data if (made := moment(one.timestamp)) and query.holds(made)]
        page = await read_each(
            media[resumed([one.id for one in media], cursor) :],
            figures,
            cursor_of=lambda one: resume_at(cursor, one.id),
            next_cursor=listed.paging.next_cursor,
        )
    return msgspec.structs.replace(page, unsupported=tuple(insights.unsupported))


async def _named(api: Api, media_id: str, account: Account) -> _Media | None:
    """A medium by its id; None for one that is gone or another account's."""
    try:
        one = await api.get(f"/{quote(media_id, safe='')}", _Media, params={"fields": FIELDS})
    except RefusedError as error:
        if not is_gone(error):
            raise
        return None
    # The owner is left out where it is another account than the token's.
    return one if one.owner.id == account.id else None
