"""A file of schedules: a table a schedule, in TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

from jobrunner_schedules.errors import ScheduleError
from jobrunner_schedules.schedule import Schedule, schedule_of

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of the largest file that is read."""


def read_file(path: Path) -> tuple[dict[str, Schedule], list[ScheduleError]]:
    """Read a file, `/dev/stdin` too; every schedule of it is looked at.

    Returns:
        Its schedules by name, and what is wrong with those that are not among them.

    Raises:
        ScheduleError: It cannot be read.
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
    problems: list[ScheduleError] = []
    for name, fields in tables.items():
        try:
            if not isinstance(fields, dict):
                raise ScheduleError(
                    name, "", "it is no table: write its name in brackets, and its fields below"
                )
            read[name] = schedule_of(name, fields)
        except ScheduleError as error:
            problems.append(error)
    return read, problems
