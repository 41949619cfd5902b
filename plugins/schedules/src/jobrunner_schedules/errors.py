"""What can be wrong with a schedule."""

from __future__ import annotations

from jobrunner.errors import JobrunnerError


class ScheduleError(JobrunnerError, ValueError):
    """A schedule is wrong.

    Attributes:
        name: The schedule's name; empty where it is about none yet.
        field: Which of its fields; empty for the whole.
        problem: What is wrong with it.
    """

    exit_status = 2

    def __init__(self, name: str, field: str, problem: str) -> None:
        super().__init__(": ".join(part for part in (name and f"schedule {name}", field, problem) if part))
        self.name = name
        self.field = field
        self.problem = problem


class UnknownScheduleError(JobrunnerError):
    """There is no schedule of that name."""

    exit_status = 2

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no schedule {name!r:.80}; `jobrunner schedules list` shows those that there are"
        )
        self.name = name


class ChangedMeanwhileError(JobrunnerError):
    """Others changed a schedule again and again while it was to be changed here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"schedule {name}: others keep changing it; nothing was changed here, try again")
        self.name = name
