"""Wrong tokens by address: who sends too many waits, whatever comes next. Bounded in memory, and knows no token's text.

Tokens have 256 random bits, so that no rate would find one: this keeps guessers from costing anything, and from filling
logs. Whoever was let in from the same address lately goes on: neighbours behind one address are not locked out.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable

from jobrunner_http.addresses import bucket_of

BURST = 20.0
"""Wrong tokens that an address may send at once: a page that polls with a token that was just revoked sends some."""

MAX_ADDRESSES = 8192
"""Addresses that are remembered; the one not heard of for the longest goes first, and its count would be old anyway."""

MAX_GOOD = 4096
"""Tokens let in that are remembered, each with the address that it came from."""


class Guesses:
    """Counts wrong tokens by address.

    Args:
        per_minute: Wrong tokens a minute that an address may send, in the long run.
        clock: Monotonic seconds.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = per_minute / 60
        self._most = max(BURST, per_minute)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def wait(self, address: str, text: str) -> float:
        """Seconds until a token from an address is looked at; 0 where it may be now.

        The same work is done for every text: what is compared is a digest.
        """
        left = self._now_left(bucket_of(address))
        known = _mark(address, text) in self._good
        return 0.0 if known or left >= 1 else (1 - left) / self._rate

    def wrong(self, address: str, text: str) -> None:
        """Count a token that is none, or is none any more."""
        self._good.pop(_mark(address, text), None)
        bucket = bucket_of(address)
        left = self._now_left(bucket)
        self._left[bucket] = (max(0.0, left - 1), self._clock())
        self._left.move_to_end(bucket)
        while len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)

    def right(self, address: str, text: str) -> None:
        """Remember a token that was one."""
        mark = _mark(address, text)
        self._good[mark] = None
        self._good.move_to_end(mark)
        while len(self._good) > MAX_GOOD:
            self._good.popitem(last=False)

    def _now_left(self, bucket: str) -> float:
        left, at = self._left.get(bucket, (self._most, 0.0))
        return min(self._most, left + (self._clock() - at) * self._rate)


def _mark(address: str, text: str) -> bytes:
    return hashlib.sha256(f"{bucket_of(address)}\n{text}".encode("utf-8", "backslashreplace")).digest()
