"""Jobs at set times: cron expressions and intervals, kept by whoever loads the plugin `schedules`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported when they are asked for: every worker and every help loads this package
    from jobrunner_schedules.book import Kept, Schedules
    from jobrunner_schedules.errors import ScheduleError, UnknownScheduleError
    from jobrunner_schedules.schedule import Schedule

__all__ = ["Kept", "Schedule", "ScheduleError", "Schedules", "UnknownScheduleError"]

_WHERE = {
    "Kept": "book",
    "Schedule": "schedule",
    "ScheduleError": "errors",
    "Schedules": "book",
    "UnknownScheduleError": "errors",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
