"""The values that queues are described with: states, how often to try, how much to keep.

Pure data: nothing here knows Redis, a handler, or the time.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

import msgspec

MIB = 1 << 20

LAST_MS = 253_402_300_799_000
"""The last moment that a calendar of four figures has, in ms since 1970."""

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


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs may start in a time, over all workers: a bucket that fills evenly.

    In the long run `jobs` start in each `per_seconds`, and in any such span `jobs + burst - 1` at the most. `burst=1`
    spaces them evenly and so never lets more than `jobs` start in any span.

    Args:
        jobs: 1 to 1,000,000.
        per_seconds: 0.001 to 30 days.
        burst: How many may start at once after a while of quiet, 1 to `jobs`; None is `jobs`.

    Source: the generic cell rate algorithm of ITU-T I.371, with the time in ms.
    """

    jobs: int
    per_seconds: float
    burst: int | None = None

    def __post_init__(self) -> None:
        if type(self.jobs) is not int or not 1 <= self.jobs <= 1_000_000:
            raise ValueError(f"RateLimit: jobs is 1 to 1000000, not {self.jobs!r}")
        if not 0.001 <= self.per_seconds <= 30 * DAY_S:
            raise ValueError(f"RateLimit: per_seconds is 0.001 to 30 days, not {self.per_seconds!r}")
        if self.burst is not None and not 1 <= self.burst <= self.jobs:
            raise ValueError(f"RateLimit: burst is 1 to jobs ({self.jobs}), not {self.burst!r}")

    @property
    def stored(self) -> str:
        """As the scripts take it: jobs, ms, burst."""
        return f"{self.jobs} {round(self.per_seconds * 1000)} {self.burst or self.jobs}"

    def __str__(self) -> str:
        return f"{self.jobs}/{self.per_seconds:g}{f':{self.burst}' if self.burst else ''}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `100/60`, or `100/60:10` with a burst of 10.

        Raises:
            ValueError: It is not a rate.
        """
        found = _RATE.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"a rate is jobs/seconds such as 100/60, or 100/60:10 with a burst, not {text!r:.80}"
            )
        jobs, seconds, burst = found.groups()
        return cls(jobs=int(jobs), per_seconds=float(seconds), burst=int(burst) if burst else None)

    @classmethod
    def from_stored(cls, text: str) -> Self | None:
        """Read what the scripts take; None where it is none."""
        try:
            jobs, ms, burst = map(int, text.split())
            return cls(jobs=jobs, per_seconds=ms / 1000, burst=None if burst == jobs else burst)
        except ValueError:
            return None


_RATE = re.compile(r"(\d{1,7})/(\d{1,7}(?:\.\d{1,3})?)(?::(\d{1,7}))?", re.ASCII)


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
