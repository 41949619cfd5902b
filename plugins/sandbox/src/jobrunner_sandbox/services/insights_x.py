"""What X tells of posts: a user's timeline, posts by their ids, and their metrics.

Private metrics are told of a user's own posts of the last 30 days only. Knows posts by what the ledger recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.responses import Response

from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.insights_figures import figure

PRIVATE_S = 30 * 86_400.0
MOST_IDS = 100
PAGE = range(5, 101)
PUBLIC = (
    "retweet_count",
    "reply_count",
    "like_count",
    "quote_count",
    "bookmark_count",
    "impression_count",
)
PRIVATE = ("impression_count", "engagements", "url_link_clicks", "user_profile_clicks")

Invalid = Callable[[str], RefusedError]


class XInsights:
    """The reading side of X.

    Args:
        context: What the services share.
        invalid: Words a parameter that is wrong.
    """

    def __init__(self, context: Context, *, invalid: Invalid) -> None:
        self._context = context
        self._invalid = invalid

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (
            Endpoint(method="GET", path="/2/tweets", handler=self._by_ids),
            Endpoint(method="GET", path="/2/users/{user}/tweets", handler=self._timeline),
        )

    async def _by_ids(self, call: Call) -> Response:
        ids = [part for part in call.request.query_params.get("ids", "").split(",") if part]
        if not 1 <= len(ids) <= MOST_IDS or not all(part.isdecimal() for part in ids):
            raise self._invalid(
                f"The number of values in the `ids` query parameter list must be 1 to {MOST_IDS}"
            )
        known = {post.post_id: post for post in self._context.ledger.posts("x")}
        body: dict[str, object] = {
            "data": [self._described(call, known[part]) for part in ids if part in known]
        }
        lost = [part for part in ids if part not in known]
        if lost:
            body["errors"] = [
                {"value": part, "title": "Not Found Error", "resource_type": "tweet", "parameter": "ids"}
                for part in lost
            ]
        return answer_json(body)

    async def _timeline(self, call: Call) -> Response:
        params = call.request.query_params
        size = params.get("max_results", "10")
        if not size.isdecimal() or int(size) not in PAGE:
            raise self._invalid("The `max_results` query parameter value is not between 5 and 100")
        low, high = self._moment(params.get("start_time"), 0.0), self._moment(params.get("end_time"), 1e12)
        posts = [
            post
            for post in reversed(self._context.ledger.posts("x"))
            if post.account == call.path("user") and low <= post.at < high
        ]
        token = params.get("pagination_token", "p0")
        if not (token.startswith("p") and token[1:].isdecimal()):
            raise self._invalid("The `pagination_token` query parameter value is not valid")
        start = int(token[1:])
        page = posts[start : start + int(size)]
        meta: dict[str, object] = {"result_count": len(page)}
        if start + len(page) < len(posts):
            meta["next_token"] = f"p{start + len(page)}"
        body: dict[str, object] = {"meta": meta}
        if page:
            body["data"] = [self._described(call, post) for post in page]
        return answer_json(body)

    def _described(self, call: Call, post: Published) -> dict[str, object]:
        now = self._context.now()
        wanted = call.request.query_params.get("tweet.fields", "").split(",")
        fields: dict[str, object] = {
            "author_id": post.account,
            "created_at": datetime.fromtimestamp(post.at, UTC).isoformat(timespec="milliseconds"),
            "public_metrics": {name: figure(post, name, now=now) for name in PUBLIC},
        }
        if post.account == call.account and now - post.at < PRIVATE_S:
            fields["non_public_metrics"] = {name: figure(post, name, now=now) for name in PRIVATE}
        shown = {name: value for name, value in fields.items() if name in wanted}
        return {"id": post.post_id, "text": post.text, **shown}

    def _moment(self, text: str | None, default: float) -> float:
        if text is None:
            return default
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not text.endswith("Z"):
            raise self._invalid("A time must be of the form YYYY-MM-DDTHH:mm:ssZ")
        return moment.timestamp()
