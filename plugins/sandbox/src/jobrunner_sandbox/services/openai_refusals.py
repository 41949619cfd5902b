"""How an OpenAI-compatible API words what it refuses. Words only: when, is the endpoints'."""

from __future__ import annotations

from starlette.responses import Response

from jobrunner_sandbox.service import answer_json


def openai_error(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
) -> Response:
    """Return an error as the API answers it.

    Args:
        status: The HTTP status.
        message: For people.
        kind: The field `type`.
        code: The API's own code, where it has one.
        param: The field of the request that is wrong.
    """
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return answer_json(body, status=status)
