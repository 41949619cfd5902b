"""What an instance tells of statuses: their counts, and the list of an account's.

Knows statuses as the instance keeps them and posts by what the ledger recorded. Publishes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.responses import Response

from jobrunner_sandbox.service import Call, Context, Endpoint, answer_json
from jobrunner_sandbox.services.insights_figures import figure

MOST_LISTED = 40
COUNTS = ("favourites_count", "reblogs_count", "replies_count")

Statuses = Mapping[str, dict[str, object]]


class MastodonInsights:
    """The reading side of an instance.

    Args:
        context: What the services share.
        statuses: The instance's statuses by id, at the moment of asking.
    """

    def __init__(self, context: Context, *, statuses: Callable[[], Statuses]) -> None:
        self._context = context
        self._statuses = statuses

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return (Endpoint(method="GET", path="/api/v1/accounts/{account_id}/statuses", handler=self._list),)

    def counts(self, status_id: str) -> dict[str, object]:
        """Return a status's counts by name."""
        now = self._context.now()
        posts = self._context.ledger.posts("mastodon")
        found = next((post for post in posts if post.post_id == status_id), None)
        return {} if found is None else {name: figure(found, name, now=now) for name in COUNTS}

    async def _list(self, call: Call) -> Response:
        """List an account's statuses, newest first: `limit` (20, at most 40) and `max_id`."""
        params = call.request.query_params
        limit, below = params.get("limit", "20"), params.get("max_id", "")
        most = min(int(limit), MOST_LISTED) if limit.isdecimal() else 20
        ids = [
            post.post_id
            for post in reversed(self._context.ledger.posts("mastodon"))
            if post.account == call.path("account_id") and (not below or int(post.post_id) < int(below))
        ]
        statuses = self._statuses()
        page = ids[:most]
        answer = answer_json([statuses[status_id] | self.counts(status_id) for status_id in page])
        if len(page) < len(ids):
            address = f"{call.base}/api/v1/accounts/{call.path('account_id')}/statuses"
            answer.headers["Link"] = f'<{address}?max_id={page[-1]}>; rel="next"'
        return answer
