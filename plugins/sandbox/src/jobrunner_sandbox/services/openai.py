"""A stand-in for an OpenAI-compatible API: each kind of endpoint is a part of its own, behind the same words.

Every path is served with the version in front, `/v1`, and without, as clients write it into the address or not. What an
endpoint answers is its part's; here are only the refusals that all have in common.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from starlette.responses import Response

from jobrunner_sandbox.service import Call, Context, Endpoint
from jobrunner_sandbox.services.openai_chat import Chat
from jobrunner_sandbox.services.openai_images import Images
from jobrunner_sandbox.services.openai_refusals import openai_error

VERSION = "/v1"


class Part(Protocol):
    """One kind of endpoint."""

    def endpoints(self) -> Sequence[Endpoint]:
        """Return its methods and paths, without the version."""

    def clear(self) -> None:
        """Forget all that was asked and made."""


class OpenAIService:
    """The endpoints of all parts."""

    name = "openai"

    def __init__(self, context: Context) -> None:
        self._parts: tuple[Part, ...] = (Chat(context), Images(context))

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""
        return [
            Endpoint(method=one.method, path=f"{version}{one.path}", handler=one.handler, public=one.public)
            for part in self._parts
            for one in part.endpoints()
            for version in (VERSION, "")
        ]

    def refuse(self, status: int, message: str) -> Response:
        """Word any error."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return openai_error(status, message, kind=kind)

    def refuse_token(self, *, missing: bool) -> Response:
        """Word a key that is missing or not valid."""
        if missing:
            return self.refuse(401, "You didn't provide an API key.")
        return openai_error(401, "Incorrect API key provided.", code="invalid_api_key")

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""
        return self.refuse(404, f"Invalid URL ({method} {path})")

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests, with a Retry-After header in whole seconds."""
        answer = openai_error(
            429, "Rate limit reached for requests.", kind="requests", code="rate_limit_exceeded"
        )
        answer.headers["Retry-After"] = str(math.ceil(retry_after))
        answer.headers["x-ratelimit-remaining-requests"] = "0"
        return answer

    def finish(self, call: Call, answer: Response) -> None:
        """Add nothing; the limits are told where they are met."""

    def clear(self) -> None:
        """Forget all that was asked and made."""
        for part in self._parts:
            part.clear()
