"""The one shape of every stand-in: endpoints, and how the service words what it refuses.

Knows no platform. What every service is given (ledger, clock, ids) is the context.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.ledger import Ledger


class RefusedError(Exception):
    """A service refuses a request; the answer goes to the client as it is."""

    def __init__(self, answer: Response) -> None:
        super().__init__(f"refused with status {answer.status_code}")
        self.answer = answer


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came as far as its handler.

    Args:
        request: The request, its body already read.
        account: A name for who sent the token, the same for the same token; empty where none is needed.
        base: The service's own address as the client wrote it, without a slash at the end.
    """

    request: Request
    account: str
    base: str

    def path(self, name: str) -> str:
        """Return a part of the path by its name in the route."""
        return str(self.request.path_params[name])


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method and path of a service.

    Args:
        method: The HTTP method.
        path: The path inside the service, in the router's notation, empty for the service's address itself.
        handler: Answers the call, or raises RefusedError.
        public: Whether it needs no token.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Response]]
    public: bool = False


class Service(Protocol):
    """What a stand-in offers to the gate in front of it."""

    name: str

    def endpoints(self) -> Sequence[Endpoint]:
        """Return all methods and paths that are served."""

    def refuse(self, status: int, message: str) -> Response:
        """Word any error: a planned fault, an outage, a malformed body."""

    def refuse_token(self, *, missing: bool) -> Response:
        """Word a token that is missing or not valid."""

    def refuse_path(self, method: str, path: str) -> Response:
        """Word a path or method that does not exist."""

    def refuse_rate(self, retry_after: float) -> Response:
        """Word too many requests, with the wait in seconds where the service says it."""

    def finish(self, call: Call, answer: Response) -> None:
        """Add what the service puts on every answer, such as its rate limit's headers."""

    def clear(self) -> None:
        """Forget all that was uploaded and published."""


class Context:
    """What the services share: the ledger, the clock, the behaviour in force, a source of ids, and the end."""

    def __init__(
        self, *, ledger: Ledger, behaviour: Callable[[], Behaviour], now: Callable[[], float]
    ) -> None:
        self.ledger = ledger
        self.now = now
        self.stopping = asyncio.Event()
        self._behaviour = behaviour
        self._serial = itertools.count(1)

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force at this moment."""
        return self._behaviour()

    def next_id(self, first: int) -> int:
        """Return an id that no other call returns: `first` plus a serial that only rises."""
        return first + next(self._serial)


def answer_json(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        headers=None if headers is None else dict(headers),
        media_type="application/json",
    )


def account_of(token: str) -> str:
    """Return the account that a token stands for where a platform has no other name for it.

    Args:
        token: The bearer token; it cannot be found from the name.

    Returns:
        `user-` and 12 hex digits, the same for the same token: the ledger's account on X and Mastodon.
    """
    return f"user-{hashlib.sha256(token.encode()).hexdigest()[:12]}"
