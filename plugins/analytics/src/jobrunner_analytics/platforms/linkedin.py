"""LinkedIn organisations: their posts, and the share statistics of up to 50 at once.

The account is the organisation's id or URN, the token one with `r_organization_social` and `rw_organization_admin`.
LinkedIn tells statistics of the last 12 months, and none of a post that nobody saw. Members have no such API.

Source: LinkedIn's pages "Posts API" and "Organization Share Statistics".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import httpx
import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.api import Api, Dialect, Problem, json_object, text_of, wait_named
from jobrunner_analytics.failures import RefusedError
from jobrunner_analytics.platform import Context, Page, PostFigures, Query

METRICS = {
    "impressions": "impressionCount",
    "reach": "uniqueImpressionsCount",
    "likes": "likeCount",
    "comments": "commentCount",
    "shares": "shareCount",
    "clicks": "clickCount",
}
POST_ID = re.compile(r"urn:li:(share|ugcPost):[0-9]+")
ORGANIZATION = re.compile(r"(urn:li:organization:)?([0-9]+)")
PAGE = 50


class _Post(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    created_at: int | None = None
    published_at: int | None = None

    @property
    def made(self) -> datetime | None:
        """When it was published, which LinkedIn tells in milliseconds."""
        at_ms = self.published_at or self.created_at
        try:
            return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            return None


class _Posts(msgspec.Struct, frozen=True):
    elements: list[_Post] = []


class _Element(msgspec.Struct, frozen=True, rename="camel"):
    share: str = ""
    ugc_post: str = ""
    total_share_statistics: dict[str, object] = {}

    def values(self) -> dict[str, float]:
        """Its numbers; LinkedIn puts objects beside them for some."""
        return {
            name: value
            for name, value in self.total_share_statistics.items()
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        }


class _Statistics(msgspec.Struct, frozen=True):
    elements: list[_Element] = []


def read(answer: httpx.Response) -> Problem:
    """Read a refusal of LinkedIn."""
    body = json_object(answer)
    message = str(body.get("message", "") or text_of(answer))
    if answer.status_code == httpx.codes.UPGRADE_REQUIRED:
        message = f"{message}; set JOBRUNNER_ANALYTICS_LINKEDIN_VERSION to a version that is served"
    return Problem(code=str(body.get("code") or ""), message=message, retry_after=wait_named(answer))


# A version that is no longer served is a setting to change: the job waits for it.
DIALECT = Dialect(name="LinkedIn", read=read, passing=frozenset({"NONEXISTENT_VERSION"}))


async def read_page(query: Query, account: Account, cursor: str, context: Context) -> Page:
    """Read 50 posts of an organisation; see `jobrunner_analytics.Platform`."""
    organization = _organization(account)
    start = int(cursor or 0)
    after = str(start + PAGE)
    if query.post_ids:
        api = _open(account, context)
        posts = [_Post(id=urn) for urn in query.post_ids[start : start + PAGE]]
        after = after if start + PAGE < len(query.post_ids) else ""
    else:
        api = _open(account, context, finder=True)
        path = (
            f"/rest/posts?author={quote(organization, safe='')}&q=author&count={PAGE}&start={start}"
            "&sortBy=CREATED"
        )
        listed = (await api.get(path, _Posts)).elements
        # Newest first: past the first post from before the range there is nothing to be found.
        ended = len(listed) < PAGE or any((made := post.made) and made < query.start for post in listed)
        posts = [post for post in listed if (made := post.made) and query.holds(made)]
        after = "" if ended else after
    api = _open(account, context)
    statistics = await _statistics(api, organization, [post.id for post in posts])
    figures = [
        PostFigures(
            post_id=post.id,
            created_at=post.made,
            values={name: value for name, value in statistics[post.id].items() if name in query.metrics},
        )
        for post in posts
        if post.id in statistics
    ]
    return Page(posts=tuple(figures), next_cursor=after)


def _open(account: Account, context: Context, *, finder: bool = False) -> Api:
    headers = {
        "LinkedIn-Version": context.settings.linkedin_version,
        "X-Restli-Protocol-Version": "2.0.0",
    }
    if finder:
        headers["X-RestLi-Method"] = "FINDER"
    return context.api(account, DIALECT, context.settings.linkedin_url, headers=headers)


async def _statistics(api: Api, organization: str, urns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Statistics by URN; shares and UGC posts are two parameters, and two calls."""
    found: dict[str, dict[str, float]] = {}
    for parameter, kind in (("shares", "share"), ("ugcPosts", "ugcPost")):
        named = [urn for urn in urns if urn.startswith(f"urn:li:{kind}:")]
        if not named:
            continue
        # Rest.li reads parentheses and commas as its notation, so they stay as they are, and URNs are quoted.
        several = ",".join(quote(urn, safe="") for urn in named)
        path = (
            "/rest/organizationalEntityShareStatistics?q=organizationalEntity"
            f"&organizationalEntity={quote(organization, safe='')}&{parameter}=List({several})"
        )
        answer = await api.get(path, _Statistics)
        found |= {element.share or element.ugc_post: element.values() for element in answer.elements}
    return found


def _organization(account: Account) -> str:
    found = ORGANIZATION.fullmatch(account.id)
    if found is None:
        raise RefusedError(f"LinkedIn tells figures of organisations only, and {account.id[:80]!r} is none")
    return f"urn:li:organization:{found.group(2)}"
