"""What the OpenAPI document says of each route beside its types: the problems, what it is for and for whom, headers."""

from __future__ import annotations

import inspect
import re
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Tag

from jobrunner_http import patterns
from jobrunner_http.door import ROLE
from jobrunner_http.problems import MEDIA_TYPE, Problem

WHAT = {
    400: "The request cannot be read, or its body broke off.",
    401: "No valid token.",
    403: "The token's role or its tenants do not allow it.",
    404: "It is not there, or not for this token.",
    408: "The body came too slowly.",
    409: "The job's state, or another job of that id, does not allow it.",
    413: "The body or the payload is too large.",
    421: "The request is for another host.",
    422: "Something does not fit; the field is named.",
    429: "The token or its address asks too often, or there is no room; Retry-After says when to try again.",
    500: "Something went wrong here; the log says what.",
    502: "What the store has there was not written by jobrunner; `jobrunner doctor` says more.",
    503: "The store does not answer now; Retry-After says when to try again.",
}

ALWAYS = (400, 401, 403, 421, 422, 429, 500, 502, 503)

TAGS = {
    "health": "How the system is, for people and for whoever watches it.",
    "queues": "Queues as they are declared, their numbers and their limits; pause, resume, clear.",
    "jobs": "Enqueue, list and look; retry, cancel, promote and remove, one job or many.",
    "test": "Enqueue by a queue's route, the body being the payload.",
    "workers": "Who runs the jobs.",
    "events": "What happens, as it happens.",
    "metrics": "Numbers for machines that scrape and scale.",
    "probes": "For whoever keeps the process running.",
}
"""The groups of routes, in the order in which they are told."""

Schema = dict[str, Any]

_RETRY_AFTER = {
    "description": "Seconds after which to try again.",
    "required": True,
    "schema": {"type": "integer", "minimum": 1},
}
_CHALLENGE = {"description": "How to give a token.", "required": True, "schema": {"type": "string"}}
_LOCATION = {
    "description": "Where the job is to be looked at; not there for several jobs.",
    "required": False,
    "schema": {"type": "string"},
}
_SENTENCE = re.compile(r"[^.;:]+")


def tags() -> list[Tag]:
    """The groups, for the document's head."""
    return [Tag(name=name, description=text) for name, text in TAGS.items()]


def problems(*statuses: int, always: tuple[int, ...] = ALWAYS) -> dict[int, ResponseSpec]:
    """The problems that a route may answer with."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=WHAT[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({*always, *statuses})
    }


def describe(app: Litestar, document: Schema) -> None:
    """Say of every operation what it is for and for whom, and which headers its answers have; in place.

    Args:
        app: Whose routes they are.
        document: As the types alone make it.
    """
    paths, state = document["paths"], document["components"]["schemas"]["State"]
    # The framework writes what one parameter says of its type into the type.
    state.pop("description", None)
    default = state.pop("default", None)
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            for method in handler.http_methods:
                operation = paths.get(route.path_format, {}).get(str(method).lower())
                if operation is not None:
                    _tell(handler, operation)
                    for one in operation.get("parameters", ()):
                        one["schema"] = _as_sent(one["schema"])
                        if one["name"] == "state":
                            one["schema"]["default"] = default


def tenant_header() -> Schema:
    """The header that holds any request to one tenant."""
    return {
        "name": "x-tenant-id",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "pattern": patterns.TENANT},
        "description": "Holds the request to one of the token's tenants.",
    }


def _as_sent(schema: Schema) -> Schema:
    """A parameter's schema without null, which no query can say: what may be left out is said elsewhere."""
    members = [one for one in schema.get("oneOf", ()) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    if len(members) == 1:
        rest = {**members[0], **rest}
    if "enum" in rest:
        rest["enum"] = [one for one in rest["enum"] if one is not None]
    return rest


def _tell(handler: HTTPRouteHandler, operation: Schema) -> None:
    text = " ".join(inspect.cleandoc(handler.fn.__doc__ or "").split())
    first = _SENTENCE.match(text)
    operation["summary"] = first.group() if first else text
    role = handler.opt.get(ROLE)
    operation["description"] = f"{text} Open to everybody." if role is None else f"{text} Role: {role.label}."
    if role is None:
        operation["security"] = []
    else:
        operation["security"] = [{"token": [role.label]}]
        operation.setdefault("parameters", []).append(tenant_header())
    answers = operation["responses"]
    for status, name, header in (
        ("429", "Retry-After", _RETRY_AFTER),
        ("503", "Retry-After", _RETRY_AFTER),
        ("401", "WWW-Authenticate", _CHALLENGE),
        ("202", "Location", _LOCATION),
    ):
        if status in answers and role is not None:
            answers[status].setdefault("headers", {})[name] = header
    if "health" in operation.get(
        "tags", ()
    ):  # an answer of its own kind, and a problem where no token can be read
        answers["503"]["content"] |= answers["200"]["content"]
