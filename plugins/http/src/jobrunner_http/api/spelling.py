"""A route's parameters as requests spell them: for problems that name one, and for changes, which have to be exact.

Knows what a route declares, and no request's values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg, QueryParameter

from jobrunner_http.api.asking import BODY
from jobrunner_http.door import Connection
from jobrunner_http.gate import UNSAFE
from jobrunner_http.problems import FieldProblem, ProblemError

NOTHING = (b"", b"{}", b"null")
"""Bodies that say nothing: many clients send one with every POST."""


def spellings(handler: BaseRouteHandler) -> Mapping[str, str]:
    """Every parameter of a route that has another name in requests than here: ours -> theirs."""
    declared = {name: one.kwarg_definition for name, one in handler.parsed_fn_signature.parameters.items()}
    return {name: one.name for name, one in declared.items() if isinstance(one, ParameterKwarg) and one.name}


async def exact(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse a change that says what the route does not know; a guard.

    A `tenant` that is misspelt, a `state` where a `status` is meant, or either in a body that nobody reads, would pause or
    clear the whole queue.

    Raises:
        ProblemError: 422 for a query with a name that is not known or is there twice, and for a body where none is taken;
            else what reading a body may raise.
    """
    if connection.scope.get("method") not in UNSAFE:
        return
    known = {
        one.kwarg_definition.name or name
        for name, one in handler.parsed_fn_signature.parameters.items()
        if isinstance(one.kwarg_definition, QueryParameter)
    }
    may = f"the query may hold {' and '.join(sorted(known)) or 'nothing'}"
    raw = connection.scope.get("query_string", b"").decode("latin-1")
    for name, times in Counter(name for name, _ in parse_qsl(raw, keep_blank_values=True)).items():
        if name not in known:
            raise _refused(name, f"not known here; {may}")
        if times > 1:
            raise _refused(name, "said more than once")
    if BODY not in handler.opt and isinstance(connection, Request):
        body = await connection.body()
        if body.strip() not in NOTHING:
            raise ProblemError(422, f"this takes no body; {may}")


def _refused(name: str, problem: str) -> ProblemError:
    return ProblemError(
        422, f"the query: {name:.80}: {problem}", errors=[FieldProblem(field=name[:200], problem=problem)]
    )
