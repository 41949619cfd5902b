"""How often a token may ask: a bucket each, so that one that runs wild leaves room for the others."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_S = 4.0
"""Seconds' worth of requests that a token may make at once."""

MAX_BUCKETS = 4096
"""Buckets that are kept; there are fewer tokens than that."""


class Rates:
    """Counts requests by token.

    Args:
        rate: Requests a second.
        clock: Monotonic seconds.
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_S)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, token_id: str) -> float:
        """Count a request: seconds until it may be made, 0 where it may be made now."""
        now = self._clock()
        left, at = self._buckets.get(token_id, (self._most, now))
        left = min(self._most, left + (now - at) * self._rate)
        if left < 1:
            return (1 - left) / self._rate
        if len(self._buckets) >= MAX_BUCKETS and token_id not in self._buckets:
            self._buckets.clear()
        self._buckets[token_id] = (left - 1, now)
        return 0.0
