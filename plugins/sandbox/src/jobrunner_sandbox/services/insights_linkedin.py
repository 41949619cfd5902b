"""What LinkedIn tells of an organisation's posts: their list and their share statistics.

Knows posts by what the ledger recorded. Publishes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from starlette.responses import Response

from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.insights_figures import figure

MOST_LISTED = 100
LIST = re.compile(r"(?:^|&)(shares|ugcPosts)=List\(([^()]*)\)")
COUNTS = (
    "clickCount",
    "commentCount",
    "impressionCount",
    "likeCount",
    "shareCount",
    "uniqueImpressionsCount",
)

Refuse = Callable[[int, str], Response]


class LinkedInInsights:
    """The reading side of LinkedIn.

    Args:
        context: What the services share.
        check_version: Refuses a call whose version is missing or too old.
        refuse: Words an error.
    """

    def __init__(self, context: Context, *, check_version: Callable[[Call], None], refuse: Refuse) -> None:
        self._context = context
        self._check_version = check_version
        self._refuse = refuse

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="GET", path="/rest/posts", handler=self._list),
            Endpoint(
                method="GET", path="/rest/organizationalEntityShareStatistics", handler=self._statistics
            ),
        )

    async def _list(self, call: Call) -> Response:
        self._check_version(call)
        params = call.request.query_params
        author, start, count = params.get("author", ""), params.get("start", "0"), params.get("count", "10")
        if params.get("q") != "author" or not author or not (start.isdecimal() and count.isdecimal()):
            raise RefusedError(self._refuse(400, "Invalid query parameters passed to request"))
        posts = self._of(author)[::-1]
        first, most = int(start), min(int(count), MOST_LISTED)
        elements = [
            {
                "id": post.post_id,
                "author": author,
                "commentary": post.text,
                "lifecycleState": "PUBLISHED",
                "createdAt": int(post.at * 1000),
                "publishedAt": int(post.at * 1000),
            }
            for post in posts[first : first + most]
        ]
        return answer_json(
            {"paging": {"start": first, "count": most, "total": len(posts)}, "elements": elements}
        )

    async def _statistics(self, call: Call) -> Response:
        self._check_version(call)
        params = call.request.query_params
        entity = params.get("organizationalEntity", "")
        if params.get("q") != "organizationalEntity" or not entity.startswith("urn:li:organization:"):
            raise RefusedError(self._refuse(400, "Invalid query parameters passed to request"))
        # As it was sent: Rest.li tells its own parentheses and commas from quoted ones.
        query = str(call.request.scope["query_string"], "latin-1")
        posts = {post.post_id: post for post in self._of(entity)}
        elements: list[dict[str, object]] = []
        for kind, urns in LIST.findall(query):
            field = "share" if kind == "shares" else "ugcPost"
            for urn in (unquote(part) for part in urns.split(",") if part):
                if not urn.startswith(f"urn:li:{field}:"):
                    raise RefusedError(self._refuse(400, f"Invalid value for param {kind}"))
                if urn in posts:
                    elements.append(self._element(posts[urn], entity, field))
        if not LIST.search(query) and ("shares" in params or "ugcPosts" in params):
            raise RefusedError(self._refuse(400, "Invalid value type for parameter, a list is expected"))
        return answer_json({"paging": {"start": 0, "count": 10, "links": []}, "elements": elements})

    def _element(self, post: Published, entity: str, field: str) -> dict[str, object]:
        now = self._context.now()
        counts: dict[str, object] = {name: figure(post, name, now=now) for name in COUNTS}
        statistics = counts | {"engagement": 0.0125}
        return {"organizationalEntity": entity, field: post.post_id, "totalShareStatistics": statistics}

    def _of(self, author: str) -> list[Published]:
        return [post for post in self._context.ledger.posts("linkedin") if post.account == author]
