"""What the HTTP API says about itself: typed events through the log pipeline, the audit of every change among them.

No token, no payload and no header of a request is ever told.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import IO

import msgspec

from jobrunner.events import Event
from jobrunner.logs import LEVELS, Logs
from jobrunner.settings import Settings

DENIED_S = 1.0
"""Seconds between two lines about requests that were not let in; a flood of them must not fill a disk."""

IDS_TOLD = 20
"""Job ids that one line names."""


class HttpEvent(Event, frozen=True, kw_only=True):
    """The base of what the HTTP API tells."""


class HttpStarted(HttpEvent, frozen=True, kw_only=True, tag="http.started"):
    """It listens."""

    address: str
    store: str
    """The store's address, without its password."""
    queues: int
    worker: bool
    """Whether a worker runs in the same process."""


class HttpStopped(HttpEvent, frozen=True, kw_only=True, tag="http.stopped"):
    """It listens no more."""

    reason: str
    uptime_s: float


class HttpChanged(HttpEvent, frozen=True, kw_only=True, tag="http.changed"):
    """The audit: somebody changed something."""

    what: str
    """`enqueued`, `retried`, `cancelled`, `promoted`, `removed`, `cleared`, `paused`, `resumed`, `limited`, `logged_in`
    or `logged_out`."""
    who: str
    """The token's name."""
    token_id: str
    role: str
    address: str
    """Where the request came from."""
    queue: str = ""
    jobs: int = 0
    """How many jobs were changed."""
    job_ids: tuple[str, ...] = ()
    """The first twenty of them."""
    tenants: tuple[str, ...] = ()
    """The tenants that the caller was held to; none where it is held to none."""
    note: str = ""
    """What else was said: the state that was cleared, a filter, a reason."""


class HttpDenied(HttpEvent, frozen=True, kw_only=True, tag="http.denied"):
    """Requests were not let in; one line a second at the most."""

    level = "warning"
    status: int
    path: str
    address: str
    times: int
    """How many there were since the last such line."""


class HttpFailed(HttpEvent, frozen=True, kw_only=True, tag="http.failed"):
    """A request met an error that nobody thought of."""

    level = "error"
    method: str
    path: str
    error_type: str
    error: str
    traceback: str = ""


HTTP_EVENTS = (HttpStarted, HttpStopped, HttpChanged, HttpDenied, HttpFailed)


class Trail:
    """Tells events.

    Args:
        settings: The core's, for the level and the format of lines. The audit is written whatever the level.
        stream: Where lines go; standard output by default.
    """

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        logs = Logs(settings, stream)
        self._write: Callable[[Event], None] = logs.observer()
        self._level = logs.level
        audited = msgspec.structs.replace(settings, log_level="info")
        self._audit: Callable[[Event], None] = Logs(audited, stream).observer()
        self._denied_at = 0.0
        self._denied = 0

    def tell(self, event: HttpEvent) -> None:
        """Tell an event."""
        if isinstance(event, HttpChanged):
            self._audit(event)
        elif LEVELS[event.level] >= self._level:
            self._write(event)

    def denied(self, status: int, path: str, address: str) -> None:
        """Count a request that was not let in, and tell of it now and then."""
        self._denied += 1
        now = time.monotonic()
        if now - self._denied_at < DENIED_S:
            return
        self._denied_at, times, self._denied = now, self._denied, 0
        self.tell(
            HttpDenied(timestamp=time.time(), status=status, path=path[:200], address=address, times=times)
        )

    def failed(self, method: str, path: str, error: BaseException) -> None:
        """Tell of an error that nobody thought of; its text is kept to types and places where it may hold more."""
        lines = traceback.format_exception(error, limit=-8)
        self.tell(
            HttpFailed(
                timestamp=time.time(),
                method=method,
                path=path[:200],
                error_type=type(error).__name__,
                error=" ".join(str(error).split())[:500],
                traceback="".join(lines)[-6000:],
            )
        )
