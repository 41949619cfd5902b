"""What routes are given beside their own parameters: the site, the caller, and the body as the type that it must have.

Bodies are read strictly here: the framework's own reading would take a 0 for a false, and a number for a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from jobrunner.codec import blame
from jobrunner_http.access import Caller, Role
from jobrunner_http.bodies import Payload
from jobrunner_http.door import open_to
from jobrunner_http.patterns import worded
from jobrunner_http.problems import FieldProblem, ProblemError
from jobrunner_http.site import Site

T = TypeVar("T")

Ask: TypeAlias = Request[object, object, State]
OnSite: TypeAlias = NamedDependency[Site]
By: TypeAlias = NamedDependency[Caller]
Said: TypeAlias = NamedDependency[T]
Named: TypeAlias = FromPath[str]

BODY = "body"
"""Where a route says what its body must be, for the document."""

EXACT = 2.0**53
"""Below this a float is exact."""

NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def taking(role: Role, kind: Any) -> dict[str, Any]:
    """What a route that has a body says of itself: for whom it is, and the type that its `wanted` has.

    Args:
        role: For whom it is.
        kind: The type; one that may be None may be left out.
    """
    return {"opt": {**open_to(role), BODY: kind}, "dependencies": {"wanted": Provide(_reading(kind))}}


def _reading(kind: Any) -> Callable[[Ask], Awaitable[Any]]:
    read = _same if kind == Payload else _whole  # a payload is its queue's to read

    async def wanted(request: Ask) -> Any:
        raw = await request.body()
        try:
            return msgspec.convert(read(msgspec.json.decode(raw or b"null")), kind)
        except msgspec.ValidationError as error:
            said = blame("the body", error)
            problem = worded(said.problem)
            wrong = [FieldProblem(field=said.field, problem=problem)] if said.field else []
            told = str(said).replace(said.problem, problem)
            raise ProblemError(422, told, errors=wrong) from None
        except NO_JSON:
            raise ProblemError(400, "the body is not JSON that can be read") from None

    return wanted


def _same(value: object) -> object:
    return value


def _whole(value: object) -> object:
    """An object's own numbers, those that are whole as such: to JSON Schema 5.0 is an integer too."""
    if not isinstance(value, dict):
        return value
    return {
        name: int(one) if isinstance(one, float) and one.is_integer() and abs(one) < EXACT else one
        for name, one in value.items()
    }
