"""How an OpenAI-compatible API words what it refuses. Words only: when, is the endpoints'."""
"""How OpenAI's API words what it refuses, whatever the endpoint."""

from __future__ import annotations

from starlette.responses import Response

from jobrunner_sandbox.service import answer_json


def openai_error(
    status: int,
    message: str,
    *,
    message: str,
    *,
    status: int,
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
    """Word an error in OpenAI's four fields.

    Args:
        message: For people.
        status: The HTTP status.
        kind: The field `type`.
        code: OpenAI's code, null if None.
        param: The parameter that is wrong, null if None.
    """
    error = {"message": message, "type": kind, "param": param, "code": code}
    return answer_json({"error": error}, status=status)
