"""What was typed into the form of a limit, as the change that it asks for; what is wrong is told in the form's own words. Pure."""

from __future__ import annotations

import msgspec

from jobrunner.codec import blame
from jobrunner_http.bodies import OF_A_TENANT, OF_THE_QUEUE, LimitChange
from jobrunner_http.changing import stored
from jobrunner_http.dashboard.phrases import LIMITS
from jobrunner_http.patterns import worded
from jobrunner_http.problems import FieldProblem, ProblemError

_COUNT = "a whole number up to 1,000,000,000, 0 for any"
_RATE = "jobs/seconds such as 100/60, 100/60:10 with a burst of 10, or 0 for any"
_MAY_BE = {
    "max_active": _COUNT,
    "max_active_per_tenant": _COUNT,
    "rate": _RATE,
    "rate_per_tenant": _RATE,
    "weight": "a number from 0.001 to 64",
    "max_waiting": _COUNT,
    "max_waiting_bytes": "a whole number of bytes, 0 for any",
}
"""What the value of a limit may be."""


def limit_change(name: str, tenant: str, value: str) -> LimitChange:
    """The change that a form asks for.

    Args:
        name: The limit, one of `LIMITS`.
        tenant: As it was typed; empty for the whole queue.
        value: As it was typed; empty forgets what was set.

    Raises:
        ProblemError: 422, with `tenant` or `value` as the field.
    """
    label, tenant, value = LIMITS[name], tenant.strip(), value.strip()
    if name in OF_THE_QUEUE and tenant:
        raise _wrong("tenant", f"“{label}” is of the whole queue: leave the tenant out")
    if name in OF_A_TENANT and not tenant:
        raise _wrong("tenant", f"“{label}” is of one tenant: name it")
    unusable = _wrong("value", f"“{label}” is {_MAY_BE[name]}")
    try:
        number = _number(name, value)
    except ValueError:
        raise unusable from None
    wire = dict(zip(LimitChange.__struct_fields__, LimitChange.__struct_encode_fields__, strict=True))
    try:
        change = msgspec.convert({wire[name]: number, **({"tenant": tenant} if tenant else {})}, LimitChange)
    except msgspec.ValidationError as error:
        said = blame("", error)
        if said.field == "tenant":
            raise _wrong("tenant", worded(said.problem)) from None
        raise unusable from None
    try:
        stored(name, number)
    except ProblemError as error:
        raise _wrong("value", f"“{label}”: {error.errors[0].problem}") from None
    return change


def _number(name: str, value: str) -> float | str | None:
    if not value:
        return None
    if name.startswith("rate"):
        return value
    return float(value) if name == "weight" else int(value)


def _wrong(field: str, problem: str) -> ProblemError:
    return ProblemError(422, problem, errors=[FieldProblem(field=field, problem=problem)])
