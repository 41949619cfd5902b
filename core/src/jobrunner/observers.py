"""Telling plugins what happened: each in a try of its own, and nothing at all where nobody listens.

What an observer raises, or how long it takes, is told as an event and changes nothing else.
"""

from __future__ import annotations

import time
import traceback
import typing
from collections.abc import Callable, Iterable

from jobrunner.clock import Clock, SystemClock
from jobrunner.events import EVENTS, Event, ObserverFailed, ObserverSlow, event_name

SLOW_S = 0.05
"""Seconds after which an observer is called slow: it holds the event loop, and with it every job."""

Observer = Callable[[Event], None]


class Observers:
    """The observers of a process, sorted by what they want to hear.

    Args:
        observers: Each with its plugin's name; implementations of `jobrunner_event`.
        clock: For the timestamps of what is told about observers.
    """

    def __init__(self, observers: Iterable[tuple[str, Observer]] = (), clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._listeners: dict[type[Event], list[tuple[str, Observer]]] = {kind: [] for kind in EVENTS}
        for name, observer in observers:
            self.add(name, observer)

    def add(self, name: str, observer: Observer) -> None:
        """Add an observer; the annotation of its argument says what it wants to hear."""
        for kind in wanted_by(observer):
            self._listeners[kind].append((name, observer))

    def wants(self, kind: type[Event]) -> bool:
        """Whether anybody listens to an event; ask before making one on a hot path."""
        return bool(self._listeners[kind])

    def now(self) -> float:
        """The timestamp for an event that is made now."""
        return self._clock.time()

    def tell(self, event: Event) -> None:
        """Tell everybody who wants to hear it. Never raises."""
        self._tell(event, about_observers=True)

    def _tell(self, event: Event, *, about_observers: bool) -> None:
        for name, observer in self._listeners[type(event)]:
            begun = time.perf_counter()
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the job
                if about_observers:
                    self._failed(name, event, error)
                continue
            took = time.perf_counter() - begun
            if took > SLOW_S and about_observers:
                slow = ObserverSlow(
                    timestamp=self.now(),
                    plugin=name,
                    about=event_name(type(event)),
                    duration_ms=int(took * 1000),
                )
                self._tell(slow, about_observers=False)

    def _failed(self, name: str, event: Event, error: Exception) -> None:
        failed = ObserverFailed(
            timestamp=self.now(),
            plugin=name,
            about=event_name(type(event)),
            error_type=type(error).__name__,
            error=str(error)[:1000],
            traceback="".join(traceback.format_exception(error, limit=-5))[-4000:],
        )
        self._tell(failed, about_observers=False)


def wanted_by(observer: Observer) -> list[type[Event]]:
    """The events that an observer's argument is annotated with; all of them where the annotation names none."""
    try:
        hints = typing.get_type_hints(observer)
    except (TypeError, NameError, AttributeError):
        hints = {}
    hint = next((kind for name, kind in hints.items() if name != "return"), Event)
    branches = typing.get_args(hint) or (hint,)
    named = [kind for kind in EVENTS if any(isinstance(b, type) and issubclass(kind, b) for b in branches)]
    return named or list(EVENTS)
