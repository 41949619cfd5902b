"""A stand-in for Meta's Graph API: the routes and the wording that its two platforms share.

What a page or an Instagram account can do is in `pages` and `instagram`. Never publishes anything itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from starlette.responses import Response

from jobrunner_sandbox.service import Call, Context, Endpoint, RefusedError, answer_json
from jobrunner_sandbox.services.graph_refusals import graph_error
from jobrunner_sandbox.services.insights_graph import GraphInsights, field_names
from jobrunner_sandbox.services.instagram import Instagram
from jobrunner_sandbox.services.pages import Pages

Handler = Callable[[Call], Awaitable[Response]]
Routes = Sequence[tuple[str, str, Handler]]

VERSION = re.compile(r"v\d{1,2}\.\d")


class GraphService:
    """The endpoints of the Graph API, with and without a version in front."""

    name = "graph"

    def __init__(self, context: Context) -> None:
        self._pages = Pages(context)
        self._instagram = Instagram(context)
        self._insights = GraphInsights(context)

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        edges = (
            ("POST", "/{node}/feed", self._pages.post),
            ("GET", "/{node}/feed", self._pages.show_feed),
            ("POST", "/{node}/photos", self._pages.add_photo),
            ("POST", "/{node}/media", self._instagram.create),
            ("GET", "/{node}/media", self._insights.list_media),
            ("POST", "/{node}/media_publish", self._instagram.publish),
            ("GET", "/{node}/posts", self._insights.list_posts),
            ("GET", "/{node}/insights", self._insights.show_insights),
        )
        node = (("GET", "/{node}", self._show),)
        # The order matters: "/{version}/{node}" would take "/{node}/feed" for a version.
        return (*_with_version(edges), *_plain(edges), *_with_version(node), *_plain(node))

    def refuse(self, status: int, message: str) -> Response:
        """Word any error; an outage is said to be transient."""
        code = {400: 100, 403: 200}.get(status, 2 if status >= 500 else 1)
        return graph_error(message, status=status, code=code, is_transient=status >= 500)

    def refuse_token(self, *, missing: bool) -> Response:
        """Word a token that is missing or not valid."""
        if missing:
            message = "An access token is required to request this resource."
            return graph_error(message, status=401, code=104)
        message = "Error validating access token: The session has been invalidated."
        return graph_error(message, status=401, code=190, subcode=460)

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""
        message = f"Unsupported {method.lower()} request. Unknown path components: {path}"
        return graph_error(message, status=400, code=2500)

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests: a 400 with code 4, and the wait in whole minutes in a header, as Meta says it."""
        message = "(#4) Application request limit reached"
        answer = graph_error(message, status=400, code=4, is_transient=True)
        answer.headers["X-App-Usage"] = '{"call_count":100,"total_cputime":25,"total_time":25}'
        minutes = max(1, round(retry_after / 60))
        usage = {"type": "pages", "call_count": 100, "estimated_time_to_regain_access": minutes}
        answer.headers["X-Business-Use-Case-Usage"] = msgspec.json.encode({"0": [usage]}).decode()
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing."""

    def clear(self) -> None:
        """Forget all that was uploaded and published."""
        self._pages.clear()
        self._instagram.clear()

    async def _show(self, call: Call) -> Response:
        node = call.path("node")
        known = (self._instagram.find(node) or self._pages.find(node) or {}) | self._insights.counts(node)
        if not known:
            message = (
                f"Unsupported get request. Object with ID '{node}' does not exist, cannot be loaded due to "
                "missing permissions, or does not support this operation"
            )
            raise RefusedError(
                graph_error(message, status=400, code=100, subcode=33, kind="GraphMethodException")
            )
        wanted = field_names(call.request.query_params.get("fields", ""))
        return answer_json({name: known[name] for name in ("id", *wanted) if name in known})


def _plain(routes: Routes) -> list[Endpoint]:
    return [Endpoint(method=method, path=path, handler=handler) for method, path, handler in routes]


def _with_version(routes: Routes) -> list[Endpoint]:
    return [
        Endpoint(method=method, path=f"/{{version}}{path}", handler=_checking_version(handler))
        for method, path, handler in routes
    ]


def _checking_version(handler: Handler) -> Handler:
    async def serve(call: Call) -> Response:
        version = call.path("version")
        if not VERSION.fullmatch(version):
            raise RefusedError(graph_error(f"Unknown path components: /{version}", status=400, code=2500))
        return await handler(call)

    return serve
