"""What the Graph API tells of posts: the lists of a page and of an Instagram account, their counts, their insights.

Knows posts by what the ledger recorded. Publishes nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import Call, Context, RefusedError, answer_json
from jobrunner_sandbox.services.graph_refusals import graph_error
from jobrunner_sandbox.services.insights_figures import figure

MOST_LISTED = 100
METRICS = {
    "facebook": frozenset(
        {
            "post_media_view",
            "post_total_media_view_unique",
            "post_clicks",
            "post_reactions_by_type_total",
            "post_reactions_like_total",
            "post_video_views",
        }
    ),
    "instagram": frozenset(
        {"views", "reach", "likes", "comments", "shares", "saved", "total_interactions", "follows"}
    ),
}
REACTIONS = ("like", "love", "wow")


class GraphInsights:
    """The reading side of both platforms behind the Graph API."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def list_posts(self, call: Call) -> Response:
        """List a page's posts, newest first: `since`, `until`, `limit`, `after`."""
        return self._list(call, "facebook")

    async def list_media(self, call: Call) -> Response:
        """List an Instagram account's media, likewise."""
        return self._list(call, "instagram")

    async def show_insights(self, call: Call) -> Response:
        """Tell a post's insights; one metric that is none refuses all of them, as Meta does."""
        post = self._find(call.path("node"))
        if post is None:
            raise RefusedError(
                graph_error(
                    f"Unsupported get request. Object with ID '{call.path('node')}' does not exist",
                    code=100,
                    subcode=33,
                    kind="GraphMethodException",
                )
            )
        names = [name for name in call.request.query_params.get("metric", "").split(",") if name]
        if not names or not set(names) <= METRICS[post.platform]:
            raise RefusedError(
                graph_error("(#100) The value must be a valid insights metric", status=400, code=100)
            )
        return answer_json({"data": [self._insight(post, name) for name in names]})

    def counts(self, node: str) -> dict[str, object]:
        """Return what a post tells of its counts besides its other fields, empty for what is no post."""
        post = self._find(node)
        return {} if post is None else self._fields(post)

    def _list(self, call: Call, platform: str) -> Response:
        params = call.request.query_params
        low, high = _time(params.get("since", ""), 0.0), _time(params.get("until", ""), float("inf"))
        node = call.path("node")
        posts = [
            post
            for post in reversed(self._context.ledger.posts(platform))
            if post.account == node and low <= post.at <= high
        ]
        limit = params.get("limit", "25")
        most = min(int(limit), MOST_LISTED) if limit.isdecimal() else 25
        start = _offset(params.get("after", ""))
        wanted = field_names(params.get("fields", "id"))
        listed = [
            {name: value for name, value in self._fields(post).items() if name in ("id", *wanted)}
            for post in posts[start : start + most]
        ]
        end = start + len(listed)
        body: dict[str, object] = {"data": listed}
        if listed:
            body["paging"] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
        if end < len(posts):
            body["paging"] = {"cursors": {"after": _cursor(end)}, "next": f"{call.base}/{node}/next-page"}
        return answer_json(body)

    def _fields(self, post: Published) -> dict[str, object]:
        made = datetime.fromtimestamp(post.at, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")
        now = self._context.now()
        fields: dict[str, object] = {"id": post.post_id}
        if post.platform == "instagram":
            return fields | {
                "caption": post.text,
                "permalink": post.url,
                "timestamp": made,
                "media_product_type": "FEED",
                "owner": {"id": post.account},
            }
        return fields | {
            "message": post.text,
            "permalink_url": post.url,
            "created_time": made,
            "from": {"id": post.account},
            "shares": {"count": figure(post, "shares", now=now)},
            "reactions": {"data": [], "summary": {"total_count": figure(post, "reactions", now=now)}},
            "comments": {"data": [], "summary": {"total_count": figure(post, "comments", now=now)}},
        }

    def _insight(self, post: Published, name: str) -> dict[str, object]:
        now = self._context.now()
        value: object = figure(post, name, now=now)
        if name == "post_reactions_by_type_total":
            value = {kind: figure(post, f"{name}/{kind}", now=now) for kind in REACTIONS}
        return {
            "name": name,
            "period": "lifetime",
            "values": [{"value": value}],
            "id": f"{post.post_id}/insights/{name}/lifetime",
        }

    def _find(self, node: str) -> Published | None:
        posts = (*self._context.ledger.posts("facebook"), *self._context.ledger.posts("instagram"))
        return next((post for post in posts if post.post_id == node), None)


def field_names(fields: str) -> Sequence[str]:
    """Return the names in a `fields` parameter, without what is said of each, such as `.limit(0)`."""
    return [name.strip().split(".", 1)[0] for name in fields.split(",")]


def _time(text: str, default: float) -> float:
    return float(text) if text.isdecimal() else default


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"at:{offset}".encode()).decode()


def _offset(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("at:"))
    except (binascii.Error, ValueError):
        raise RefusedError(graph_error("(#100) Invalid parameter: after", status=400, code=100)) from None
