"""How a chat endpoint's refusals are sorted: whether to ask again, to give up this text, or to give up at once.

Decides by status and code. Sends nothing; no text that is passed on holds the key.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import msgspec

from jobrunner_content.failures import RefusedError, TransientError, UnusableError, WriterError, clip
from jobrunner_content.settings import ContentSettings

RATE_WAIT_S = 60.0
"""Seconds to wait where a service that limits the rate does not say how long: most count by the minute."""

MOST_WAIT_S = 86_400.0

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""

# Source: OpenAI's guide to error codes, and what its API answers where the guide is silent. Unlike a rate limit, these
# last until somebody pays.
NO_CREDIT = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_credits"}
)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it was received; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    message: str = ""
    code: str = ""


def judge(answer: Answer, settings: ContentSettings) -> WriterError:
    """Turn an answer that is no success into the error that says what to do about it.

    Args:
        answer: What was received, of any status but 2xx.
        settings: The plugin's settings: the key is masked, and the model is named.

    Returns:
        The error, to be raised by the caller.
    """
    problem = _read(answer, settings.openai_key)
    codes = "/".join(part for part in (str(answer.status), problem.code) if part)
    told = f"the chat endpoint answered {codes}: {problem.message or 'no message'}"
    if problem.code in NO_CREDIT or answer.status == 402:
        return UnusableError(f"{told}; top up the account, then retry the job")
    match answer.status:
        case 401:
            # Its message quotes a part of the key.
            return UnusableError(
                f"the chat endpoint answered {codes}: it does not take the key; set JOBRUNNER_CONTENT_OPENAI_KEY"
            )
        case 403:
            return UnusableError(f"{told}; the key in JOBRUNNER_CONTENT_OPENAI_KEY may not do this")
        case 404:
            return UnusableError(
                f"{told}; check JOBRUNNER_CONTENT_OPENAI_MODEL ({settings.openai_model}) "
                "and JOBRUNNER_CONTENT_OPENAI_URL"
            )
        case 429:
            return TransientError(told, retry_after=wait_named(answer.headers) or RATE_WAIT_S)
        case 408 | 409 | 425:
            return TransientError(told)
        case status if status >= 500:
            return TransientError(told, retry_after=wait_named(answer.headers))
        case status if status < 400:
            return UnusableError(f"{told}; redirects are not followed, check JOBRUNNER_CONTENT_OPENAI_URL")
        case _:
            return RefusedError(told)


def wait_named(headers: dict[str, str]) -> float | None:
    """Return the seconds, a day at most, that a Retry-After header names by number or by date; None without one."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - _server_time(headers)
        except (ValueError, OverflowError):
            return None
    # Of what is no number at all, NaN, neither comparison holds.
    return min(max(0.0, seconds), MOST_WAIT_S) if seconds == seconds else None  # noqa: PLR0124 - the test for NaN


def _server_time(headers: dict[str, str]) -> float:
    # A date is compared with the clock that made it, so that a worker whose clock is off waits as long.
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return time.time()


def told_by(error: object, key: str) -> str:
    """Return what an error in an answer's body says, empty where it says nothing; the key is struck out."""
    return _problem(error, key).message


def _read(answer: Answer, key: str) -> _Problem:
    """Read `{"error": {"message", "type", "code"}}` in any of the forms that compatible servers give it."""
    try:
        body = msgspec.json.decode(answer.body)
    except UNREADABLE:
        return _Problem()
    return _problem(body.get("error", body) if isinstance(body, dict) else body, key)


def _problem(error: object, key: str) -> _Problem:
    if isinstance(error, str):
        return _Problem(message=_masked(error, key))
    if not isinstance(error, dict):
        return _Problem()
    message, code = error.get("message") or error.get("detail"), error.get("code") or error.get("type")
    return _Problem(
        message=_masked(message, key) if isinstance(message, str) else "",
        code=clip(code)[:64] if isinstance(code, str) else "",
    )


def _masked(text: str, key: str) -> str:
    return clip(text.replace(key, "***") if key else text)
