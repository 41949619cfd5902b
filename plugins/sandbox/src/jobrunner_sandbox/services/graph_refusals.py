"""What the two platforms behind the Graph API word alike: errors, and the media that they fetch themselves.

Knows no edge.
"""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from jobrunner_sandbox.service import RefusedError, answer_json
from jobrunner_sandbox.troubles import MediaTrouble, fetchable, media_trouble


def graph_error(
    message: str,
    *,
    status: int = 400,
    code: int,
    subcode: int | None = None,
    kind: str = "OAuthException",
    is_transient: bool = False,
    title: str = "",
    user_message: str = "",
) -> Response:
    """Word an error of the Graph API.

    Args:
        message: For developers.
        status: The HTTP status.
        code: Meta's number of the error.
        subcode: Meta's number below that, left out if None.
        kind: The field `type`.
        is_transient: Whether Meta says that trying again can help.
        title: For users, left out if empty.
        user_message: For users, left out if empty.

    Returns:
        The answer, with an `fbtrace_id` that is the same for the same error.
    """
    error: dict[str, object] = {"message": message, "type": kind, "code": code, "is_transient": is_transient}
    if subcode is not None:
        error["error_subcode"] = subcode
    if title:
        error |= {"error_user_title": title, "error_user_msg": user_message}
    error["fbtrace_id"] = f"A{hashlib.sha256(message.encode()).hexdigest()[:22]}"
    return answer_json({"error": error}, status=status)


def check_media_url(url: str) -> None:
    """Refuse a media URL that Meta could not fetch.

    Args:
        url: The URL as the client sent it; it is judged by its text and never opened.

    Raises:
        RefusedError: It is no web address, or its path says that it goes wrong.
    """
    trouble = media_trouble(url)
    if trouble is MediaTrouble.TOO_LARGE:
        raise RefusedError(graph_error("The image size is too large.", code=36000, subcode=2207004))
    unfit = (MediaTrouble.NOT_FOUND, MediaTrouble.REDIRECT, MediaTrouble.NOT_AN_IMAGE)
    if trouble in unfit or not fetchable(url):
        raise RefusedError(
            graph_error(
                "Only photo or video can be accepted as media type.",
                code=9004,
                subcode=2207052,
                title="Media download has failed. The media URI doesn't meet our requirements.",
                user_message=f"The media could not be fetched from this URI: {url}",
            )
        )
