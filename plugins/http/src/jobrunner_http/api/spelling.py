"""A route's parameters as requests spell them: for problems that name one, and for a query that has to be exact.

Knows what a route declares, and no request's values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import parse_qsl

from litestar.handlers import BaseRouteHandler
from litestar.params import ParameterKwarg, QueryParameter

from jobrunner_http.door import Connection
from jobrunner_http.gate import UNSAFE
from jobrunner_http.problems import FieldProblem, ProblemError


def spellings(handler: BaseRouteHandler) -> Mapping[str, str]:
    """Every parameter of a route that has another name in requests than here: ours -> theirs."""
    declared = {name: one.kwarg_definition for name, one in handler.parsed_fn_signature.parameters.items()}
    return {name: one.name for name, one in declared.items() if isinstance(one, ParameterKwarg) and one.name}


async def exact_query(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse a change whose query says what the route does not know, or says it twice; a guard.

    A `tenant` that is misspelt, or a `state` where a `status` is meant, would pause or clear the whole queue.

    Raises:
        ProblemError: 422, which names the parameter.
    """
    if connection.scope.get("method") not in UNSAFE:
        return
    known = {
        one.kwarg_definition.name or name
        for name, one in handler.parsed_fn_signature.parameters.items()
        if isinstance(one.kwarg_definition, QueryParameter)
    }
    raw = connection.scope.get("query_string", b"").decode("latin-1")
    for name, times in Counter(name for name, _ in parse_qsl(raw, keep_blank_values=True)).items():
        if name not in known:
            raise _refused(
                name, f"not known here; the query may hold {' and '.join(sorted(known)) or 'nothing'}"
            )
        if times > 1:
            raise _refused(name, "said more than once")


def _refused(name: str, problem: str) -> ProblemError:
    return ProblemError(
        422, f"the query: {name:.80}: {problem}", errors=[FieldProblem(field=name[:200], problem=problem)]
    )
