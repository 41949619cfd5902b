"""The pieces that lines of every format are made of: times, and JSON that nothing can break.

Never raises for what a handler or an error brings: what cannot be written is written as its repr.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec


def moment(at: float) -> str:
    """A time as lines have it: UTC, to the millisecond.

    Args:
        at: Seconds since 1970.
    """
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}Z"


@functools.lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def encode_line(fields: Mapping[str, object]) -> str:
    """One line of JSON; a value that JSON does not know is written as its repr, and no value can break the line."""
    try:
        return msgspec.json.encode(fields, enc_hook=repr).decode()
    except Exception:  # noqa: BLE001 - a value's own repr may raise anything, and no line may fail a job
        safe = {str(_safe(key)): _safe(value) for key, value in fields.items()}
        return msgspec.json.encode(safe).decode()


def encode_value(value: object) -> str:
    """A value as JSON; text that is no Unicode is escaped first."""
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except Exception:  # noqa: BLE001 - as above
        return msgspec.json.encode(_safe(value)).decode()


def _safe(value: object) -> object:
    """A value that can be written whatever it is: numbers as they are, text without what is no Unicode."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else f"<{type(value).__name__}>"
    if not isinstance(value, str):
        with contextlib.suppress(Exception):  # too deep, or a repr that raises: the type's name has to do
            text = repr(value)[:2000]
    return text.encode("utf-8", "backslashreplace").decode()
