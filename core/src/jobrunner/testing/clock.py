"""A clock that moves when the test says so, and durations as people write them.

It reaches what asks it: the in-memory store, events, and handlers that take it as a resource. It does not touch
`time.time`, `datetime.now` or `asyncio.sleep`.
"""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|[smhdw])")


def seconds(duration: str | float | timedelta) -> float:
    """Turn a duration into seconds.

    Args:
        duration: Seconds, a `timedelta`, or text such as `90s`, `2h`, `1h 30m`, `250ms`, `7d`, `2w`.

    Raises:
        ValueError: It is negative, or no duration.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, str):
        return _from_text(duration)
    if duration < 0:
        raise ValueError(f"a duration is 0 seconds or more, not {duration!r}: time does not run back")
    return float(duration)


def _from_text(text: str) -> float:
    total, at = 0.0, 0
    while part := _PART.match(text, at):
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    if at == 0 or text[at:].strip():
        raise ValueError(f"{text!r} is not a duration; write it like '90s', '2h' or '1h 30m'")
    return total


class VirtualClock:
    """The time of a test: it stands still until it is moved.

    Its monotonic side runs on by itself and jumps ahead with each move, so that a handler that hangs still meets
    its timeout.

    Args:
        start: The time at first, aware; None is the machine's time now.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start must have a time zone: without one it means another moment elsewhere")
        self._ms = round((datetime.now(UTC) if start is None else start).timestamp() * 1000)
        self._moved_s = 0.0
        self._moved: asyncio.Event | None = None

    @property
    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._ms

    @property
    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._ms / 1000, UTC)

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        return self._ms / 1000

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back: the machine's, and what this one was moved."""
        return time.monotonic() + self._moved_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved by so many seconds."""
        until = self._ms + seconds * 1000
        while self._ms < until:
            if self._moved is None:
                self._moved = asyncio.Event()
            await self._moved.wait()

    def move(self, by: str | float | timedelta) -> None:
        """Move the clock ahead. A harness's clock is moved by `Harness.advance`, which tells its store too."""
        ms = round(seconds(by) * 1000)
        self._ms += ms
        self._moved_s += ms / 1000
        if self._moved is not None:
            self._moved.set()
            self._moved = None
