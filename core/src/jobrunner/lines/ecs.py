"""Lines of the Elastic Common Schema: flat, dotted keys that Elasticsearch takes as they are.

What the schema has no place for is in the namespace `jobrunner.`, a handler's own keys are `labels`, and maps become
lists of `name=value`, so that no queue's name ever becomes a field of an index. What is empty is left out.

Source: Elastic Common Schema 8.11 (fields), the ecs-logging specification (which come first, which stay dotted,
how the names of labels are cleaned).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from jobrunner.events import Event, event_name
from jobrunner.lines.form import NOT_OF_A_HANDLER, is_empty, keys_of, place
from jobrunner.lines.text import encode_line, encode_value, moment

ECS_VERSION = "8.11.0"
"""Every field that is named in `PLACES` is of this version and of all later ones."""

OUTCOMES = {
    "job.completed": "success",
    "job.retried": "failure",
    "job.failed": "failure",
    "job.buried": "failure",
    "job.lease_lost": "unknown",
}
"""`event.outcome`: what became of an attempt, where it ended."""

NS_A_MS = 1_000_000
"""`event.duration` is in nanoseconds."""

_CLEANED = str.maketrans(".*\\", "___")


class EcsLines:
    """The format `ecs`.

    Args:
        service: What `service.name` says.
    """

    def __init__(self, service: str) -> None:
        self._about = f'"ecs.version":"{ECS_VERSION}","service.name":{encode_value(service)},"event.dataset":'
        self._about += encode_value(f"{service}.log")

    def of_event(self, event: Event, sample: float) -> str:
        """An event's line."""
        kind = type(event)
        parts = [f'{{"@timestamp":"{moment(event.timestamp)}",{_head(kind)},{self._about}']
        for name, prefix, convert in _pieces(kind):
            value = getattr(event, name)
            if not is_empty(value):
                parts.append(prefix + encode_value(convert(value)))
        if sample != 1:
            parts.append(f'"jobrunner.sample":{sample!r}')
        return ",".join(parts) + "}"

    def of_handler(self, fields: Mapping[str, object]) -> str:
        """A handler's line: what it calls the event is the message, and its own keys are labels."""
        parts = [
            f'{{"@timestamp":{encode_value(fields["timestamp"])}',
            f'"log.level":{encode_value(fields["level"])}',
            f'"message":{encode_value(str(fields["event"]))}',
            self._about,
        ]
        for key, value in fields.items():
            if key in NOT_OF_A_HANDLER and key not in ("event", "level", "timestamp") and not is_empty(value):
                parts.append(f'"{place(key).ecs}":{encode_value(value)}')
        labels = {key.translate(_CLEANED): _label(value) for key, value in fields.items() if _is_own(key)}
        if labels:
            parts.append(f'"labels":{encode_line(labels)}')
        return ",".join(parts) + "}"


@functools.cache
def _head(kind: type[Event]) -> str:
    name = event_name(kind)
    head = f'"log.level":"{kind.level}","message":"{name}","event.action":"{name}"'
    return f'{head},"event.outcome":"{OUTCOMES[name]}"' if name in OUTCOMES else head


@functools.cache
def _pieces(kind: type[Event]) -> tuple[tuple[str, str, Callable[[object], object]], ...]:
    return tuple((name, f'"{place(key).ecs}":', _converter(key)) for name, key in keys_of(kind))


def _converter(key: str) -> Callable[[object], object]:
    return _nanoseconds if place(key).ecs == "event.duration" else _flat


def _nanoseconds(value: object) -> object:
    assert isinstance(value, int)
    return value * NS_A_MS


def _flat(value: object) -> object:
    return [f"{key}={one}" for key, one in value.items()] if isinstance(value, dict) else value


def _is_own(key: str) -> bool:
    return key not in NOT_OF_A_HANDLER


def _label(value: object) -> object:
    """Labels hold no objects: what has parts is written as JSON."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else encode_value(value)
