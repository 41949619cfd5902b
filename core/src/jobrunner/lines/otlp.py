"""Lines of OpenTelemetry: each is a whole LogsData message in OTLP's JSON, as the file exporter writes them.

So a Collector reads them without a parser of ours. Names are those of the semantic conventions where there are any,
else `jobrunner.` and the key; a handler's own keys keep their names. What is empty is left out.

Source: OTLP 1.x, JSON Protobuf encoding (64-bit integers are text, ids are hexadecimal); the file exporter's JSON lines;
the logs data model for severities.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime

import msgspec

from jobrunner.events import Event, event_name
from jobrunner.lines.form import NOT_OF_A_HANDLER, is_empty, keys_of, place
from jobrunner.lines.text import encode_value

SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
"""Level -> the first number of its range."""

SCOPE = "jobrunner"
"""The name of the scope, as that of the tracer."""

MAX_DEPTH = 8
"""Deeper values are written as one text: a Collector bounds what it nests, too."""

INT64 = range(-(1 << 63), 1 << 63)
_END = "]}]}]}]}"


class OtlpLines:
    """The format `otel`.

    Args:
        service: `service.name` of the resource.
        version: `service.version` of the resource.
    """

    def __init__(self, service: str, version: str) -> None:
        resource = ",".join((attribute("service.name", service), attribute("service.version", version)))
        self._start = (
            f'{{"resourceLogs":[{{"resource":{{"attributes":[{resource}]}},'
            f'"scopeLogs":[{{"scope":{{"name":"{SCOPE}"}},"logRecords":[{{'
        )

    def of_event(self, event: Event, sample: float) -> str:
        """An event's line."""
        kind = type(event)
        attributes = []
        for name, prefix in _pieces(kind):
            value = getattr(event, name)
            if not is_empty(value):
                attributes.append(f"{prefix}{any_value(value)}}}")
        if sample != 1:
            attributes.append(attribute("jobrunner.sample", sample))
        at, trace = _nanoseconds(event.timestamp), _trace(getattr(event, "trace_id", ""))
        times = f'"timeUnixNano":"{at}","observedTimeUnixNano":"{at}"'
        return f'{self._start}{times},{_head(kind)}{trace},"attributes":[{",".join(attributes)}{_END}'

    def of_handler(self, fields: Mapping[str, object]) -> str:
        """A handler's line."""
        level = str(fields["level"])
        name, at = (
            str(fields["event"]),
            _nanoseconds(datetime.fromisoformat(str(fields["timestamp"])).timestamp()),
        )
        record = (
            f'"timeUnixNano":"{at}","observedTimeUnixNano":"{at}","severityNumber":{SEVERITIES.get(level, 9)},'
            f'"severityText":{encode_value(level)},"body":{{"stringValue":{encode_value(name)}}}'
        )
        attributes = [
            attribute(place(key).otel if key in NOT_OF_A_HANDLER else key, value)
            for key, value in fields.items()
            if key not in ("event", "level", "timestamp", "trace_id") and not is_empty(value)
        ]
        trace = _trace(fields.get("trace_id", ""))
        return f'{self._start}{record}{trace},"attributes":[{",".join(attributes)}{_END}'


def attribute(name: str, value: object) -> str:
    """A KeyValue."""
    return f'{{"key":{encode_value(name)},"value":{any_value(value)}}}'


def any_value(value: object, depth: int = MAX_DEPTH) -> str:
    """An AnyValue: numbers that OTLP has no type for, and what is nested too deep, become text."""
    match value:
        case str():
            return f'{{"stringValue":{encode_value(value)}}}'
        case bool():
            return f'{{"boolValue":{"true" if value else "false"}}}'
        case int() if value in INT64:
            return f'{{"intValue":"{value}"}}'
        case float() if value - value == 0:  # neither infinite nor no number
            return f'{{"doubleValue":{value!r}}}'
        case None:
            return "{}"
        case dict() if depth:
            inner = [
                f'{{"key":{encode_value(str(key))},"value":{any_value(one, depth - 1)}}}'
                for key, one in value.items()
            ]
            return f'{{"kvlistValue":{{"values":[{",".join(inner)}]}}}}'
        case list() | tuple() if depth:
            return f'{{"arrayValue":{{"values":[{",".join(any_value(one, depth - 1) for one in value)}]}}}}'
        case int() | float() | dict() | list() | tuple():  # OTLP has no such number, or it is too deep
            return f'{{"stringValue":{encode_value(encode_value(value))}}}'
        case _:
            return any_value(msgspec.json.decode(encode_value(value)), depth)


@functools.cache
def _head(kind: type[Event]) -> str:
    name, level = event_name(kind), kind.level
    return (
        f'"severityNumber":{SEVERITIES[level]},"severityText":"{level}","eventName":"{name}",'
        f'"body":{{"stringValue":"{name}"}}'
    )


@functools.cache
def _pieces(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    keys = [(name, key) for name, key in keys_of(kind) if key != "trace_id"]
    return tuple((name, f'{{"key":"{place(key).otel}","value":') for name, key in keys)


def _nanoseconds(at: float) -> int:
    return int(at * 1e6) * 1000  # a float holds microseconds of our century, and no more


def _trace(trace_id: object) -> str:
    return f',"traceId":"{trace_id}"' if isinstance(trace_id, str) and trace_id else ""
