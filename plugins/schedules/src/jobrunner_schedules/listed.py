"""A file of schedules: a table a schedule, in TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from jobrunner_schedules.errors import ScheduleError
from jobrunner_schedules.schedule import Schedule, schedule_of

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of the largest file that is read."""


def read_file(path: Path) -> dict[str, Schedule]:
    """Read a file, `/dev/stdin` too; every schedule of it is looked at.

    Raises:
        ScheduleError: It cannot be read, or a schedule is wrong: the text names all that are.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScheduleError("", "", f"{path}: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise ScheduleError("", "", f"{path}: it has more than {MAX_BYTES:,} bytes")
    try:
        tables = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ScheduleError("", "", f"{path}: it is no TOML: {error}") from None
    read: dict[str, Schedule] = {}
    problems: list[str] = []
    for name, schedule in _each(tables):
        if isinstance(schedule, ScheduleError):
            problems.append(str(schedule))
        else:
            read[name] = schedule
    if problems:
        raise ScheduleError("", "", f"{path}: nothing was changed:\n  " + "\n  ".join(problems))
    return read


def _each(tables: dict[str, object]) -> Iterator[tuple[str, Schedule | ScheduleError]]:
    for name, fields in tables.items():
        try:
            if not isinstance(fields, dict):
                raise ScheduleError(name, "", f"it is no table; write [{name}] and its fields below")
            yield name, schedule_of(name, fields)
        except ScheduleError as error:
            yield name, error
