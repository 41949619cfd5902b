"""Errors as answers: problem details by RFC 9457, one line that says what is wrong and what to do.

What goes out never holds a traceback, a setting, or a value that a client sent in a secret field.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Mapping, Sequence

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException

from jobrunner.errors import (
    ConflictError,
    InvalidNameError,
    JobNotFoundError,
    JobrunnerError,
    OutcomeUnknownError,
    PayloadError,
    PayloadTooLargeError,
    QueueFullError,
    StoreCorruptError,
    StoreError,
    UnknownQueueError,
)
from jobrunner.producing import BatchError
from jobrunner_http.patterns import worded

MEDIA_TYPE = "application/problem+json"

FULL_RETRY_S = 5
"""Seconds after which a producer may try a full queue again: a worker makes room within a second or so."""

AWAY_RETRY_S = 2
"""Seconds after which a store that was away may be tried again."""

UNREADABLE = "what is stored there cannot be read"
"""Of a store that answers, with what jobrunner did not write. Its own text may hold what somebody wrote there."""


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one field: its name as on the wire, and the problem."""

    field: str
    problem: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """A problem, as RFC 9457 has it."""

    title: str
    status: int
    detail: str = ""
    type: str = "about:blank"
    errors: list[FieldProblem] = []
    """The fields that are wrong, where some are."""
    enqueued: int | None = None
    """Of a bulk that ended early: the jobs that went in before."""


class ProblemError(Exception):
    """An answer that is a problem.

    Args:
        status: The HTTP status.
        detail: One line for people.
        errors: The fields that are wrong.
        headers: Headers of the answer.
        enqueued: As in `Problem`.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        enqueued: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.enqueued = enqueued

    def response(self) -> Response[bytes]:
        """The answer."""
        return Response(
            self.body(),
            status_code=self.status,
            media_type=MEDIA_TYPE,
            headers={"cache-control": "no-store", **self.headers},
        )

    def body(self) -> bytes:
        """The answer's body."""
        title = http.HTTPStatus(self.status).phrase
        problem = Problem(
            title=title, status=self.status, detail=self.detail, errors=self.errors, enqueued=self.enqueued
        )
        return msgspec.json.encode(problem)


def not_found(what: str) -> ProblemError:
    """The answer for what is not there, and for what the caller may not know of: they are the same."""
    return ProblemError(404, what)


def problem_of(error: BaseException, spelt: Callable[[], Mapping[str, str]] = dict) -> ProblemError:
    """The answer that an error becomes; 500 for one that nobody thought of.

    Args:
        error: The error.
        spelt: Gives what requests call the parameters of the route that it came from, where they have another name here.
    """
    match error:
        case ProblemError():
            return error
        case BatchError():
            return _of_batch(error)
        case JobrunnerError():
            return _of_jobrunner(error)
        case ValidationException():
            return _of_values(_fields(error, spelt()))
        case HTTPException():
            return _of_framework(error)
        case _:
            return ProblemError(500, "something went wrong here; the log says what")


def _of_jobrunner(error: JobrunnerError) -> ProblemError:
    text = " ".join(str(error).split())
    match error:
        case PayloadTooLargeError():
            return ProblemError(413, text)
        case PayloadError():
            wrong = [FieldProblem(field=error.field, problem=error.problem)] if error.field else []
            return ProblemError(422, text, errors=wrong)
        case ConflictError():
            return ProblemError(409, text)
        case QueueFullError():
            return ProblemError(429, text, headers={"retry-after": str(FULL_RETRY_S)})
        case UnknownQueueError() | JobNotFoundError():
            return not_found(text)
        case InvalidNameError():
            return ProblemError(422, text)
        case StoreCorruptError():
            return ProblemError(502, f"{UNREADABLE}; `jobrunner doctor` says more")
        case OutcomeUnknownError():
            away = "the store's answer was lost; sending it again with the same job id is safe"
            return ProblemError(503, away, headers={"retry-after": str(AWAY_RETRY_S)})
        case StoreError():  # its own text may name the store's address
            away = "the store does not take it now; try again"
            return ProblemError(503, away, headers={"retry-after": str(AWAY_RETRY_S)})
        case _:
            return ProblemError(500, "something went wrong here; the log says what")


def _of_batch(error: BatchError) -> ProblemError:
    cause = error.__cause__
    inner = problem_of(cause) if isinstance(cause, Exception) else ProblemError(500)
    return ProblemError(
        inner.status, inner.detail, errors=inner.errors, headers=inner.headers, enqueued=error.enqueued
    )


def _of_framework(error: HTTPException) -> ProblemError:
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    keep = {name: value for name, value in headers.items() if name in ("allow", "retry-after")}
    match error.status_code:
        case 404:
            return not_found("there is nothing at this address")
        case 405:
            return ProblemError(405, f"use {keep.get('allow', 'another method')}", headers=keep)
        case 413:
            return ProblemError(413, "the body is too large")
        case status if status >= 500:
            return ProblemError(500, "something went wrong here; the log says what")
        case status:
            return ProblemError(status, "the request cannot be read", headers=keep)


def _of_values(wrong: list[FieldProblem]) -> ProblemError:
    told = "; ".join(f"{one.field}: {one.problem}" if one.field else one.problem for one in wrong)
    return ProblemError(422, told[:1000] or "some values do not fit", errors=wrong)


def _fields(error: ValidationException, spelt: Mapping[str, str]) -> list[FieldProblem]:
    extra = error.extra if isinstance(error.extra, list) else []
    found = []
    for one in extra:
        if isinstance(one, dict):
            name, problem = str(one.get("key", "")), " ".join(str(one.get("message", "")).split())
            field = spelt.get(name, name)[:200]
            found.append(FieldProblem(field=field, problem=worded(problem[:1].lower() + problem[1:])[:300]))
    return found
