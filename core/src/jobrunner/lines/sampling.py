"""Which jobs' routine lines are written, where there are too many to write all. Never decides about warnings or errors.

A job is in the sample or not by its id alone: so its lines stay together, on every worker and in every attempt.
"""

from __future__ import annotations

import zlib

from jobrunner.events import Event, JobCompleted, JobEnqueued, JobEvent, JobStarted

ROUTINE = (JobEnqueued, JobStarted, JobCompleted)
"""What every job that goes well says. All else is rare, or is what somebody will look for."""

_ALL = 1 << 32
"""How many values a CRC-32 has."""


class Sampling:
    """A sample of the jobs.

    Args:
        share: The share of jobs in it, 0 to 1.
    """

    def __init__(self, share: float) -> None:
        self.share = share
        self._below = round(share * _ALL)

    def holds(self, job_id: str) -> bool:
        """Whether a job is in it."""
        return zlib.crc32(job_id.encode("utf-8", "backslashreplace")) < self._below

    def of_event(self, event: Event) -> float:
        """The share that an event's line stands for: 1 for what is always written, 0 for what is not written."""
        if self.share == 1 or not isinstance(event, ROUTINE):
            return 1.0
        assert isinstance(event, JobEvent)
        return self.share if self.holds(event.job_id) else 0.0
