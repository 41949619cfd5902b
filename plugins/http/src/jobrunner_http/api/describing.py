"""What the OpenAPI document says of each route beside its types."""

from __future__ import annotations

from litestar.openapi.datastructures import ResponseSpec

from jobrunner_http.problems import MEDIA_TYPE, Problem

_WHAT = {
    400: "The request cannot be read.",
    401: "No valid token.",
    403: "The token's role or its tenants do not allow it.",
    404: "It is not there, or not for this token.",
    408: "The body came too slowly.",
    409: "The job's state, or another job of that id, does not allow it.",
    413: "The body or the payload is too large.",
    421: "The request is for another host.",
    422: "Something does not fit; the field is named.",
    429: "The token or its address asks too often, or the queue is full; Retry-After says when to try again.",
    502: "What the store has there was not written by jobrunner; `jobrunner doctor` says more.",
    503: "The store does not answer now; Retry-After says when to try again.",
}

ALWAYS = (400, 401, 403, 421, 422, 429, 502, 503)


def problems(*statuses: int, always: tuple[int, ...] = ALWAYS) -> dict[int, ResponseSpec]:
    """The problems that a route may answer with."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=_WHAT[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({*always, *statuses})
    }
