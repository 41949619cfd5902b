"""When attempts have run for too long: one timer a queue, whatever the number of its jobs.

All jobs of a queue have the same timeout, so they come due in the order in which they began. One that waits for a
process of its own begins when that is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from jobrunner.clock import Clock
from jobrunner.worker.attempt import Attempt

LOOK_S = 1.0
"""Seconds between looks at the most, so that attempts that are over are let go soon."""


class Deadlines:
    """The deadlines of a queue's attempts. Used on one event loop.

    Args:
        clock: The time.
        expired: Called for each attempt that is not over at its deadline.
    """

    def __init__(self, clock: Clock, expired: Callable[[Attempt], None]) -> None:
        self._clock = clock
        self._expired = expired
        self._attempts: deque[tuple[float, Attempt]] = deque()
        """Deadlines in their order. One that was moved since is there once more, and counts there."""
        self._alarm: asyncio.TimerHandle | None = None

    def add(self, attempt: Attempt) -> None:
        """Watch an attempt that has just begun."""
        self._attempts.append((attempt.deadline, attempt))
        if self._alarm is None:
            self._set()

    def _set(self) -> None:
        while self._attempts and self._attempts[0][1].over:
            self._attempts.popleft()
        if not self._attempts:
            self._alarm = None
            return
        wait = self._attempts[0][0] - self._clock.monotonic()
        self._alarm = asyncio.get_running_loop().call_later(max(0.001, min(wait, LOOK_S)), self._ring)

    def _ring(self) -> None:
        now = self._clock.monotonic()
        while self._attempts and (self._attempts[0][1].over or self._attempts[0][0] <= now):
            due, attempt = self._attempts.popleft()
            if due == attempt.deadline and not attempt.over:
                self._expired(attempt)
        self._set()
