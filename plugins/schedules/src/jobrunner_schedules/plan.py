"""When a schedule fires: the slots of a cron expression in a time zone, or of an interval. Pure: it reads no clock.

A slot is a moment, in ms since 1970. It follows from the plan alone, never from when a job ran, so whoever works it out
comes to the same one.
"""

from __future__ import annotations

import functools
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from itertools import takewhile

from cronsim import CronSim, CronSimError

from jobrunner_schedules.errors import ScheduleError

MAX_CRON = 200
"""Characters of a cron expression."""

MAX_EVERY_S = 366 * 86_400
"""Seconds of the longest interval: a year."""

SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
"""The short forms that crontab(5) has."""

FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31 or L, and a day that one of its months has",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT",
}
"""What the fields of a cron expression may be; `day-of-month` before `month`, whose name it has within it."""

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

_EVERY = re.compile(r"([1-9][0-9]{0,8})([smhdw])", re.ASCII)

_BACK_S = (3600, 86_400, 32 * 86_400, 366 * 86_400, 1 << 53)
"""How far back the last slot is looked for, in steps, so that a year of missed minutes is not gone through. What has none
in a year is a leap day's, and has few in all."""


LAST_MS = 253_370_764_800_000
"""No slot is later: 9999-01-01, where calendars end."""


class Plan:
    """When a schedule fires.

    In a zone that changes its clocks, an expression with a fixed minute and hour fires once a day by the wall's clock: at the
    change where the hour is left out, the first time where it comes twice. One with a star in its minute or hour goes by
    time that has passed. (Both as Debian's cron does it.) An interval counts from 1970 in UTC, so `15m` is at :00, :15, :30, :45.

    Args:
        cron: Five fields or a short form such as `@daily`; empty for an interval.
        every: A number and `s`, `m`, `h`, `d` or `w`, such as `15m`; empty for a cron expression.
        timezone: The zone of the cron expression, as IANA names it.

    Raises:
        ScheduleError: One of them cannot be read, both are there, or none is.
    """

    def __init__(self, cron: str = "", every: str = "", timezone: str = "UTC") -> None:
        if bool(cron) == bool(every):
            raise ScheduleError("", "", "give either cron or every")
        self._zone = zone(timezone)
        self._every_ms = 1000 * seconds(every) if every else 0
        self._cron = expression(cron) if cron else ""
        if cron and self.after(_SOME_TIME_MS) is None:
            raise ScheduleError("", "cron", f"{cron!r} is never: no month has such a day")

    def after(self, moment_ms: int) -> int | None:
        """The first slot after a moment, which is from 1970 on; None where there is none in fifty years."""
        return next(self._from(moment_ms), None)

    def last(self, since_ms: int, until_ms: int) -> int | None:
        """The last slot from `since_ms` to `until_ms`, both included; None where there is none."""
        if self._every_ms:
            slot = until_ms // self._every_ms * self._every_ms
            return slot if slot >= since_ms else None
        last = None
        for back in _BACK_S:
            start = max(since_ms, until_ms - 1000 * back)
            for last in self.slots(start, until_ms):  # noqa: B007 - the last one is wanted
                pass
            if last is not None or start == since_ms:
                break
        return last

    def slots(self, since_ms: int, until_ms: int) -> Iterator[int]:
        """The slots from `since_ms` to `until_ms`, both included, in order."""
        return takewhile(lambda slot: slot <= until_ms, self._from(since_ms - 1))

    def _from(self, moment_ms: int) -> Iterator[int]:
        if self._every_ms:
            slot = moment_ms // self._every_ms * self._every_ms
            while (slot := slot + self._every_ms) <= LAST_MS:
                yield slot
            return
        if moment_ms > LAST_MS:
            return
        last = moment_ms
        # Before the moment, so that what the clocks do around it is seen whole, wherever one begins.
        begin = datetime.fromtimestamp(moment_ms / 1000 - _RUN_UP_S, UTC).astimezone(self._zone)
        for found in CronSim(self._cron, begin):
            slot = int(found.timestamp()) * 1000
            if slot > last:
                last = slot
                yield slot


_RUN_UP_S = 3 * 3600
"""How long before: no zone changes its clocks by more than two hours, but where one moved over the date line."""

_SOME_TIME_MS = 1_767_225_600_000  # 2026-01-01: to see whether a plan has any slot at all


@functools.lru_cache(1024)
def zone(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        ScheduleError: There is none of that name.
    """
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(
            "", "timezone", f"{name[:80]!r} is no time zone; such as Europe/Berlin or UTC"
        ) from None


def seconds(every: str) -> int:
    """The seconds of an interval such as `15m`.

    Raises:
        ScheduleError: It cannot be read, or is longer than a year.
    """
    found = _EVERY.fullmatch(every)
    if not found:
        raise ScheduleError("", "every", f"{every[:80]!r} is no interval; such as 30s, 15m, 6h, 1d or 1w")
    length = int(found[1]) * UNITS[found[2]]
    if length > MAX_EVERY_S:
        raise ScheduleError("", "every", f"{every!r} is longer than a year")
    return length


def expression(cron: str) -> str:
    """A cron expression of five fields, with short forms written out.

    Raises:
        ScheduleError: It cannot be read.
    """
    written = SHORT.get(cron.strip().lower(), cron)
    if written.startswith("@"):
        raise ScheduleError("", "cron", f"{cron[:80]!r} is none of {', '.join(SHORT)}")
    if len(written) > MAX_CRON or len(written.split()) != 5:
        raise ScheduleError(
            "",
            "cron",
            f"{cron[:80]!r} has not five fields: minute hour day-of-month month day-of-week, such as '0 9 * * MON-FRI'",
        )
    try:
        CronSim(written, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        problem = str(error).lower()
        what = next((f", which is {known}" for field, known in FIELDS.items() if field in problem), "")
        raise ScheduleError("", "cron", f"{cron!r} cannot be read: {problem}{what}") from None
    except Exception:  # noqa: BLE001 - what its author did not think of
        raise ScheduleError("", "cron", f"{cron!r} cannot be read") from None
    return written
