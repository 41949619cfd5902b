"""What the Cloud API said when it did not accept a message: its error, and how long it asks to wait.

Reads field by field, so that a code counts though what stands beside it is odd. Decides nothing.
"""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime

import httpx
import msgspec

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for bytes that are no JSON, no UTF-8, or nested deeper than it goes."""

NUMBER = re.compile(r"-?[0-9]{1,10}")

MOST_PAGE = 600
"""Bytes that are shown of an answer that is no error of the API's, such as a gateway's page."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """The API's error; see `verdicts.Problem`. Nothing is struck out of the message yet."""

    message: str = ""
    code: int | None = None
    subcode: int = 0
    is_transient: bool = False


def read_error(body: bytes) -> Said:
    """Read `{"error": {"message", "code", "error_subcode", "is_transient", "error_data": {"details"}}}`.

    Args:
        body: The answer's body, whatever it is.
    """
    try:
        decoded = msgspec.json.decode(body)
    except UNREADABLE:
        decoded = None
    error = decoded.get("error") if isinstance(decoded, dict) else None
    if not isinstance(error, dict):
        return Said(message=body[:MOST_PAGE].decode(errors="replace"))
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    message = details or error.get("message")
    return Said(
        message=message if isinstance(message, str) else "",
        code=_number(error.get("code")),
        subcode=_number(error.get("error_subcode")) or 0,
        is_transient=error.get("is_transient") is True,
    )


def wait_named(headers: httpx.Headers) -> float | None:
    """Seconds that the API asks to wait: in Retry-After, by number or by date, or in minutes in Meta's header of limits.

    Returns:
        A number above 0, or None: "at once" is no wait, the attempts of a job would be spent in a moment.
    """
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text) if text else math.nan
    except ValueError:
        seconds = _until(text, headers)
    return seconds if seconds > 0 else _usage_wait(headers)


def _until(date: str, headers: httpx.Headers) -> float:
    # A date is compared with the clock that made it, so that a worker whose clock is off waits as long.
    try:
        now = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time.time()
    try:
        return parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return math.nan


class _Usage(msgspec.Struct, frozen=True):
    estimated_time_to_regain_access: float = 0


def _usage_wait(headers: httpx.Headers) -> float | None:
    try:
        usage = msgspec.json.decode(
            headers.get("x-business-use-case-usage", ""), type=dict[str, list[_Usage]]
        )
    except (*UNREADABLE, UnicodeEncodeError):
        return None
    minutes = max((one.estimated_time_to_regain_access for many in usage.values() for one in many), default=0)
    return minutes * 60 if math.isfinite(minutes) and minutes > 0 else None


def _number(value: object) -> int | None:
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if NUMBER.fullmatch(text) else None
