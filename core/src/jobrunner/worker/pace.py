"""How much a consumer reserves ahead: as many jobs as it runs while one exchange is under way, and no more.

So short jobs flow in batches, and a long job is never held by a worker that cannot start it.
"""

from __future__ import annotations

import bisect

from jobrunner.model import BUCKETS_MS

_WEIGHT = 0.2
"""How much the newest measurement counts in a running average."""

_NAMES = {
    kind: [f"{kind}{bound}" for bound in BUCKETS_MS] + [f"{kind}inf"] for kind in ("duration:", "wait:")
}


class Pace:
    """Running averages of a consumer, and its counters since the last exchange."""

    def __init__(self) -> None:
        self._job_s = 1.0
        self._trip_s = 0.0
        self.counters: dict[str, int] = {}

    def ran(self, duration_s: float) -> None:
        """Note how long a job ran."""
        self._job_s += _WEIGHT * (max(duration_s, 1e-6) - self._job_s)
        self._count("duration:", int(duration_s * 1000))

    def waited(self, wait_ms: int) -> None:
        """Note how long a job waited in line."""
        self._count("wait:", wait_ms)

    def travelled(self, seconds: float) -> None:
        """Note how long an exchange took."""
        self._trip_s += (_WEIGHT if self._trip_s else 1.0) * (min(seconds, 1.0) - self._trip_s)

    def ahead(self, concurrency: int) -> int:
        """Jobs to hold beyond those that run."""
        return int(concurrency * self._trip_s / self._job_s)

    def take_counters(self) -> dict[str, int]:
        """The counters since the last call."""
        counters, self.counters = self.counters, {}
        return counters

    def _count(self, kind: str, ms: int) -> None:
        counters = self.counters
        name = _NAMES[kind][bisect.bisect_left(BUCKETS_MS, ms)]
        counters[name] = counters.get(name, 0) + 1
        total = kind + "sum"
        counters[total] = counters.get(total, 0) + ms
