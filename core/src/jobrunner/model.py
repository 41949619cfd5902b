"""The values that queues are described with: states, how often to try, how much to keep.

Pure data: nothing here knows Redis, a handler, or the time.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

MIB = 1 << 20
DAY_S = 86_400.0

MAX_PRIORITY = 100
"""The highest priority; 0 is the lowest, and higher is served first."""

MAX_PAYLOAD = 256 << 10
MAX_RESULT = 256 << 10
"""Bytes of an encoded payload or result: what fits, a thousand at once, into one command of a server's memory."""

MAX_ERROR_TEXT = 8 << 10
"""Bytes of an error's message and traceback together, as they are kept."""

BUCKETS_MS = (5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 1_800_000)
"""Upper bounds of the duration and wait buckets, in ms; what lies above the last one counts as `inf`."""


class State(StrEnum):
    """Where a job stands, in the words that people see."""

    WAITING = "waiting"
    DELAYED = "delayed"
    ACTIVE = "active"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"

    @property
    def ended(self) -> bool:
        """Whether a job in this state is over."""
        return self in (State.COMPLETED, State.FAILED, State.CANCELLED)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often a job is tried, and how long it waits in between: exponential backoff with full jitter.

    Args:
        max_attempts: Attempts in all, 1 to 1,000; 1 means no second try.
        base: Seconds, the upper bound of the first wait.
        factor: What each further bound is multiplied by, 1 or more.
        cap: Seconds, the most that any bound becomes.
    """

    max_attempts: int = 8
    base: float = 10.0
    factor: float = 3.0
    cap: float = 3600.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= 1000:
            raise ValueError(f"RetryPolicy: max_attempts is 1 to 1000, not {self.max_attempts}")
        if not (0 <= self.base <= self.cap <= 30 * DAY_S and 1 <= self.factor <= 100):
            raise ValueError(
                "RetryPolicy: it must hold that 0 <= base <= cap <= 30 days and 1 <= factor <= 100"
            )


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept of the jobs that ended; whichever bound is met first.

    Args:
        jobs: At most so many, 0 or more.
        age: Seconds since they ended.
        size: Bytes, in all; measured by a sample, so roughly.
    """

    jobs: int = 1000
    age: float = DAY_S
    size: int = 16 * MIB

    def __post_init__(self) -> None:
        if self.jobs < 0 or self.age < 0 or self.size < 0:
            raise ValueError("Keep: jobs, age and size are 0 or more")


KEEP_COMPLETED = Keep()
KEEP_FAILED = Keep(jobs=10_000, age=30 * DAY_S, size=256 * MIB)
