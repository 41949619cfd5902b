"""Whose a new job is: what the token, the request and the payload say of its tenant has to agree. Asks no store."""

from __future__ import annotations

from jobrunner.declaration import Declaration
from jobrunner_http.access import Caller
from jobrunner_http.bodies import Payload
from jobrunner_http.problems import FieldProblem, ProblemError


def owned(caller: Caller, about: Declaration, spelling: str, payload: Payload) -> tuple[Payload, str | None]:
    """A payload with its tenant filled in, and the tenant of its job; None where nobody says one.

    Args:
        caller: Whoever asks. A token of one tenant, or a request that names one, gives it; a token of several takes
            the payload's word for it if that is one of them.
        about: The queue.
        spelling: The tenant field as Python spells it.
        payload: The payload.

    Raises:
        ProblemError: 422 where the payload names another tenant, or nobody says which of several.
    """
    field = about.tenant_field
    named = payload.get(field, payload.get(spelling)) if field else None
    tenant = caller.asked_tenant
    if not tenant and caller.tenants is not None:
        if len(caller.tenants) == 1:
            tenant = caller.tenants[0]
        elif isinstance(named, str) and named in caller.tenants:
            tenant = named
        else:
            raise ProblemError(422, "the token is for several tenants; x-tenant-id says which one it is")
    if not tenant:
        return payload, None
    if not field:
        return payload, tenant
    if named not in (None, "", tenant):
        problem = "the payload names another tenant than the token or x-tenant-id does"
        raise ProblemError(422, problem, errors=[FieldProblem(field=field, problem=problem)])
    # One spelling is left, the one that was looked at: a second one could name somebody else.
    rest = {name: value for name, value in payload.items() if name not in (field, spelling)}
    return {**rest, field: tenant}, tenant
