"""jobrunner's own lines: flat JSON, keys as in the event catalogue. Never anything but what the event says."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jobrunner.events import Event, event_name
from jobrunner.lines.text import encode_line, moment


class PlainLines:
    """The format `json`."""

    def of_event(self, event: Event, sample: float) -> str:
        """An event as one line: its own encoding, with the level and a readable time put in its head.

        Every attempt of a busy worker writes one, so it does not go through structlog: that costs five times as much.
        """
        try:
            raw = msgspec.json.encode(event).decode()
        except UnicodeEncodeError:  # a lone surrogate, in an error's text say
            return encode_line(readable(event, sample))
        rest = raw.index(",", raw.index('"timestamp":'))
        tail = raw[rest:] if sample == 1 else f'{raw[rest:-1]},"sample":{sample!r}}}'
        name = event.__struct_config__.tag
        return f'{{"event":"{name}","level":"{event.level}","timestamp":"{moment(event.timestamp)}"{tail}'

    def of_handler(self, fields: Mapping[str, object]) -> str:
        """A handler's line."""
        return encode_line(fields)


def readable(event: Event, sample: float) -> dict[str, object]:
    """An event as the keys and values of its line."""
    fields: dict[str, object] = msgspec.to_builtins(event)
    first = {
        "event": event_name(type(event)),
        "level": event.level,
        "timestamp": moment(event.timestamp),
    }
    return first | {key: value for key, value in fields.items() if key not in first} | _sampled(sample)


def _sampled(sample: float) -> dict[str, object]:
    return {} if sample == 1 else {"sample": sample}
