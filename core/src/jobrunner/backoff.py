"""How long a job waits before its next attempt. Pure: chance comes in as an argument.

Source: "full jitter" of M. Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from jobrunner.model import RetryPolicy

Chance = Callable[[], float]
"""A number in [0, 1)."""

_EXTRA = 0.1
"""How much of a wait that somebody asked for jitter may add; it never takes any away."""

_CRASH = RetryPolicy(base=1.0, factor=4.0, cap=300.0)


def delay_after(policy: RetryPolicy, errors: int, chance: Chance = random.random) -> float:
    """Seconds to wait after the `errors`-th error (from 1): anything up to a bound that grows with each."""
    bound = min(policy.cap, policy.base * policy.factor ** min(errors - 1, 200))
    return bound * chance()


def asked_delay(seconds: float, chance: Chance = random.random) -> float:
    """Seconds to wait where a server or a handler said how long: at least that, and up to a tenth more."""
    return seconds * (1 + _EXTRA * chance())


def crash_delays(max_crashes: int) -> list[float]:
    """Upper bounds in seconds of the waits after the first, second, ... crash: 1, 4, 16 ... 300."""
    return [min(_CRASH.cap, _CRASH.base * _CRASH.factor**k) for k in range(max(1, max_crashes - 1))]


def reconnect_delay(failures: int, chance: Chance = random.random) -> float:
    """Seconds to wait before the next try of a store that is away: half to all of 0.05, 0.1 ... 5."""
    bound = min(5.0, 0.05 * 2.0 ** min(failures, 10))
    return bound * (0.5 + 0.5 * chance())
