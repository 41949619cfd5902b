"""What was told while a harness ran: every event, in order. Nothing here runs a job."""

from __future__ import annotations

from jobrunner.events import Event, JobStarted
from jobrunner.hookspecs import hookimpl
from jobrunner.testing.shift import Shift


class Recorder:
    """A plugin that keeps every event, and tells the shift what begins."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.shift: Shift | None = None

    @hookimpl
    def jobrunner_event(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)
        if self.shift is not None and isinstance(event, JobStarted):
            self.shift.begun(event)
