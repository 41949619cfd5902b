"""What every format of log lines can do, and what most of them share: an event's keys, sorted out once a type.

Never writes. `plain`, `ecs` and `otlp` are the formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from jobrunner.events import Event

FIXED = (
    "event",
    "level",
    "timestamp",
    "queue",
    "plugin",
    "job_id",
    "tenant",
    "attempt",
    "worker_id",
    "trace_id",
)
"""The keys that come first in a line, in this order, where they are there."""

NOT_OF_A_HANDLER = frozenset({*FIXED, "logger", "exception", "stack", "sample"})
"""Keys of a handler's line that jobrunner gives it; every other one is the handler's own."""


class LineFormat(Protocol):
    """How lines look."""

    def of_event(self, event: Event, sample: float) -> str:
        """An event's line.

        Args:
            event: Any event, of a plugin's own type too.
            sample: The share of jobs whose lines are written, where this line is one of a sample; else 1.
        """

    def of_handler(self, fields: Mapping[str, object]) -> str:
        """The line of a handler, from what its logger was given; `timestamp` is text by then."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a key of ours is called elsewhere."""

    ecs: str
    otel: str


PLACES = {
    "queue": Place(ecs="jobrunner.queue", otel="messaging.destination.name"),
    "job_id": Place(ecs="jobrunner.job_id", otel="messaging.message.id"),
    "worker_id": Place(ecs="service.node.name", otel="messaging.client.id"),
    "trace_id": Place(ecs="trace.id", otel="traceId"),
    "error_type": Place(ecs="error.type", otel="exception.type"),
    "error": Place(ecs="error.message", otel="exception.message"),
    "traceback": Place(ecs="error.stack_trace", otel="exception.stacktrace"),
    "exception": Place(ecs="error.stack_trace", otel="exception.stacktrace"),
    "duration_ms": Place(ecs="event.duration", otel="jobrunner.duration_ms"),
    "reason": Place(ecs="event.reason", otel="jobrunner.reason"),
    "exit_status": Place(ecs="process.exit_code", otel="process.exit.code"),
    "logger": Place(ecs="log.logger", otel="jobrunner.logger"),
}
"""What is named otherwise in the two schemas; every other key is `jobrunner.` and its name in both.

Source: Elastic Common Schema 8.11; OpenTelemetry semantic conventions 1.30, registry, messaging, exception, process.
"""


def place(key: str) -> Place:
    """What a key of ours is called elsewhere."""
    return PLACES.get(key) or Place(ecs=f"jobrunner.{key}", otel=f"jobrunner.{key}")


def keys_of(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    """An event's keys without its time: (attribute, key), in order."""
    return tuple(
        (field.name, field.encode_name) for field in msgspec.structs.fields(kind) if field.name != "timestamp"
    )


def is_empty(value: object) -> bool:
    """Whether a value says nothing, and is left out of the wordier formats."""
    return value is None or value is msgspec.UNSET or value in ("", {}, [])
