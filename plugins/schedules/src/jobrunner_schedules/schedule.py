"""A schedule as people write it: which job, when, and what becomes of slots that were missed or still run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from jobrunner_schedules.errors import ScheduleError
from jobrunner_schedules.plan import Plan

MAX_JITTER_S = 3600
"""Seconds of the most jitter."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

Missed: TypeAlias = Literal["last", "all", "none"]
Overlap: TypeAlias = Literal["allow", "skip"]

_CHOICES: dict[str, tuple[str, ...]] = {"missed": get_args(Missed), "overlap": get_args(Overlap)}


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which job is enqueued when."""

    queue: str
    """The queue that the jobs go to."""
    payload: Mapping[str, object] = {}
    """What each job is about."""
    cron: str = ""
    """Five fields: minute, hour, day of month, month, day of week; or `@daily` and the like. Either this or `every`."""
    every: str = ""
    """An interval: `30s`, `15m`, `6h`, `1d`, `1w`; it counts from 1970 in UTC."""
    timezone: str = "UTC"
    """The zone of `cron`, as IANA names it."""
    missed: Missed = "last"
    """What is made up for, where nobody kept the schedule for a while: the last slot, all of them, or none."""
    overlap: Overlap = "allow"
    """Whether a slot fires while the job of an earlier one has not ended."""
    jitter: Annotated[int, msgspec.Meta(ge=0, le=MAX_JITTER_S)] = 0
    """Seconds over which jobs are spread after their slot, 0 to 3,600; the same for a slot whoever works it out."""
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    """0 to 100; None is the queue's."""
    tenant: str = ""
    """Whose the jobs are, where the payload does not say."""

    @property
    def plan(self) -> Plan:
        """When it fires.

        Raises:
            ScheduleError: It cannot be read.
        """
        return Plan(self.cron, self.every, self.timezone)


def check_name(name: str) -> str:
    """Return `name` if it can name a schedule, as a queue's name.

    Raises:
        ScheduleError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise ScheduleError(
            "",
            "",
            f"{name[:80]!r} is no name: 1 to 64 of letters, digits, '.', '_' and '-', a letter or digit first",
        )
    return name


def schedule_of(name: str, fields: Mapping[str, object]) -> Schedule:
    """A schedule from fields as they come from outside.

    Raises:
        ScheduleError: A field is not there, not known, or not what it should be; the error names it.
    """
    check_name(name)
    try:
        schedule = msgspec.convert(dict(fields), Schedule)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`")
        if field in _CHOICES:
            problem = f"it is one of {', '.join(_CHOICES[field])}"
        raise ScheduleError(name, field, problem[:1].lower() + problem[1:]) from None
    try:
        _ = schedule.plan
    except ScheduleError as error:
        raise ScheduleError(name, error.field, error.problem) from None
    if schedule.every and schedule.timezone != "UTC":
        raise ScheduleError(name, "timezone", "it is for cron; an interval counts from 1970 in UTC")
    return schedule


def checked(name: str, schedule: Schedule) -> Schedule:
    """Return a schedule that a program made: a constructor looks at nothing. Its payload is its queue's to check.

    Raises:
        ScheduleError: As `schedule_of`.
    """
    schedule_of(name, {**msgspec.structs.asdict(schedule), "payload": {}})
    return schedule
