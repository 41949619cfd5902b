"""Log lines: one JSON object a line on standard output, or coloured text at a terminal.

Lines about jobrunner are made from events; a handler's own lines carry the same keys and are kept with the job
too. Payloads are never logged, and a full disk never reaches a job: a line that cannot be written is dropped.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import IO, Any

import msgspec
import structlog

from jobrunner.events import EVENTS, Event
from jobrunner.masking import redact
from jobrunner.settings import Settings

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

FIXED = ("event", "level", "timestamp", "queue", "plugin", "job_id", "tenant", "attempt", "worker_id")
"""The keys that come first in a line, in this order, where they are there."""

Fields = MutableMapping[str, Any]  # what structlog hands its processors
Logger = structlog.typing.FilteringBoundLogger


class SafeStream:
    """A text stream that drops what cannot be written: a log must never fail a job."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.dropped = 0

    def write(self, line: str) -> None:
        """Write a line and flush it."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a full disk, a closed pipe, a closed stream
            self.dropped += 1

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False


class Logs:
    """Where a process writes its lines.

    Args:
        settings: The level and the format.
        stream: Where to; standard output by default.
    """

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        self.level_name = settings.log_level
        self.level = LEVELS[settings.log_level]
        self._stream = SafeStream(stream or sys.stdout)
        self.json = settings.log_format == "json" or (
            settings.log_format == "auto" and not self._stream.is_terminal
        )
        self._wrapper = structlog.make_filtering_bound_logger(self.level)

    def observer(self) -> Callable[[Event], None]:
        """What tells events to this log: an implementation of `jobrunner_event` like any other."""
        log, write = self._logger([]), self._stream.write

        def as_text(event: Event) -> None:
            fields = msgspec.to_builtins(event)
            name = fields.pop("event")
            log.log(LEVELS[event.level], name, **fields)

        def as_json(event: Event) -> None:
            write(event_line(event))

        jobrunner_event = as_json if self.json else as_text
        wanted = tuple(kind for kind in EVENTS if LEVELS[kind.level] >= self.level)
        jobrunner_event.__annotations__["event"] = _union(wanted)
        return jobrunner_event

    def job_logger(
        self, facts: Mapping[str, object], *, secrets: list[str], keep: Callable[[bytes], None]
    ) -> Logger:
        """A logger for a handler.

        Args:
            facts: Keys that every line carries: queue, job_id, tenant, attempt, worker_id ...
            secrets: The job's secret values, replaced wherever they stand; the list may still grow.
            keep: Takes each line, as JSON, that is to be kept with the job.
        """

        def keep_line(_: object, __: str, fields: Fields) -> Fields:
            own = {key: value for key, value in fields.items() if key not in facts}
            line = redact(_encode(own), secrets)
            keep(line.encode("utf-8", "backslashreplace") + b"\n")
            return fields

        return self._logger([keep_line], secrets).bind(**facts)

    def _logger(self, before: list[structlog.typing.Processor], secrets: list[str] | None = None) -> Logger:
        processors: list[structlog.typing.Processor] = [_dated, *_ERRORS, *before, _ordered]
        if self.json:
            processors.append(_render(secrets))
        else:
            processors += [structlog.dev.ConsoleRenderer(colors=self._stream.is_terminal), _redacted(secrets)]
        logger: Logger = structlog.wrap_logger(
            _Lines(self._stream), processors=processors, wrapper_class=self._wrapper, context_class=dict
        )
        return logger


def event_line(event: Event) -> str:
    """An event as one line of JSON: its own encoding, with the level and a readable time put in its head.

    Every attempt of a busy worker writes one, so it does not go through structlog: that costs five times as much.
    """
    try:
        raw = msgspec.json.encode(event).decode()
    except UnicodeEncodeError:  # a lone surrogate, in an error's text say
        return _encode(_dated(None, event.level, msgspec.to_builtins(event)))
    rest = raw.index(",", raw.index('"timestamp":'))
    name = event.__struct_config__.tag
    return f'{{"event":"{name}","level":"{event.level}","timestamp":"{_moment(event.timestamp)}"{raw[rest:]}'


def _moment(at: float) -> str:
    """A time as lines have it: UTC, to the millisecond."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}Z"


@functools.lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Lines:
    """What structlog's wrapper writes to."""

    def __init__(self, stream: SafeStream) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = stream.write


def _dated(_: object, level: str, fields: Fields) -> Fields:
    at = fields.pop("timestamp", None)
    fields["level"] = level
    fields["timestamp"] = _moment(at if isinstance(at, float) else datetime.now(UTC).timestamp())
    return fields


def _ordered(_: object, __: str, fields: Fields) -> Fields:
    first = {key: fields[key] for key in FIXED if key in fields}
    return first | {key: value for key, value in fields.items() if key not in first}


def _render(secrets: list[str] | None) -> structlog.typing.Processor:
    def render(_: object, __: str, fields: Fields) -> str:
        return redact(_encode(fields), secrets) if secrets else _encode(fields)

    return render


def _redacted(secrets: list[str] | None) -> structlog.typing.Processor:
    def redacted(_: object, __: str, line: Any) -> Any:
        return redact(line, secrets) if secrets else line

    return redacted


def _encode(fields: Mapping[str, object]) -> str:
    """One line of JSON; a value that JSON does not know is written as its repr, and no value can break the line."""
    try:
        return msgspec.json.encode(fields, enc_hook=repr).decode()
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        safe = {str(_safe(key)): _safe(value) for key, value in fields.items()}
        return msgspec.json.encode(safe).decode()


def _safe(value: object) -> object:
    """A value that can be written whatever it is: numbers as they are, text without what is no Unicode."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value if isinstance(value, str) else repr(value)[:2000]
    return text.encode("utf-8", "backslashreplace").decode()


def _union(kinds: tuple[type[Event], ...]) -> object:
    """A type that stands for any of the kinds."""
    union: Any = kinds[0]
    for kind in kinds[1:]:
        union = union | kind
    return union


_ERRORS: tuple[structlog.typing.Processor, ...] = (
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,  # plain text, and so without locals
)
