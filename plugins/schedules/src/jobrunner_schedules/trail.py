"""What is told of schedules, in the log's own form."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO

from jobrunner.events import Event
from jobrunner.logs import LEVELS, Logs
from jobrunner.settings import Settings


class ScheduleFired(Event, frozen=True, kw_only=True, tag="schedule.fired"):
    """A slot's job was enqueued."""

    schedule: str
    queue: str
    job_id: str
    slot: str
    """The slot, as 2026-11-29T21:30:00Z."""
    late_ms: int
    """Milliseconds from the slot to now."""
    created: bool
    """False where another keeper was faster."""


class ScheduleSkipped(Event, frozen=True, kw_only=True, tag="schedule.skipped"):
    """A slot did not fire, since the job of an earlier one has not ended."""

    level = "warning"
    schedule: str
    queue: str
    job_id: str
    """The job that has not ended."""
    slot: str


class ScheduleMissed(Event, frozen=True, kw_only=True, tag="schedule.missed"):
    """Slots were passed over, as `missed` says: nobody kept the schedule when they were due, or they could not be fired."""

    level = "warning"
    schedule: str
    queue: str
    slot: str
    """The first that was passed over."""
    next_slot: str
    """The one after those that were."""


class ScheduleFailed(Event, frozen=True, kw_only=True, tag="schedule.failed"):
    """A slot could not be fired. It is tried again, until it can."""

    level = "error"
    schedule: str
    queue: str
    error_type: str
    error: str
    failures: int
    """How often it has been tried."""
    delay_ms: int
    """Milliseconds until it is tried again."""


class KeeperLost(Event, frozen=True, kw_only=True, tag="keeper.lost"):
    """The store cannot be asked for the schedules. It is tried again; told once."""

    level = "warning"
    error_type: str
    error: str


class KeeperBack(Event, frozen=True, kw_only=True, tag="keeper.back"):
    """The store can be asked again."""

    outage_s: float


SCHEDULE_EVENTS: tuple[type[Event], ...] = (
    ScheduleFired,
    ScheduleSkipped,
    ScheduleMissed,
    ScheduleFailed,
    KeeperLost,
    KeeperBack,
)
"""Every event, in the order of the README."""


def teller(settings: Settings, stream: IO[str] | None = None) -> Callable[[Event], None]:
    """What writes events as log lines.

    Args:
        settings: The core's, for the level and the format.
        stream: Where to; standard output by default.
    """
    logs = Logs(settings, stream)
    write = logs.observer()

    def tell(event: Event) -> None:
        if LEVELS[event.level] >= logs.level:
            write(event)

    return tell


def now() -> float:
    """The time of an event."""
    return time.time()
