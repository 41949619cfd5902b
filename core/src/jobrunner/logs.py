"""Log lines: one JSON object a line on standard output, or coloured text at a terminal.

Lines about jobrunner are made from events; a handler's own lines carry the same keys and are kept with the job
too. Payloads are never logged, and a full disk never reaches a job: a line that cannot be written is dropped.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import IO, Any

import msgspec
import structlog

from jobrunner.events import EVENTS, Event
from jobrunner.lines.ecs import EcsLines
from jobrunner.lines.form import FIXED, LineFormat
from jobrunner.lines.otlp import OtlpLines
from jobrunner.lines.plain import PlainLines, readable
from jobrunner.lines.sampling import Sampling
from jobrunner.lines.text import encode_line, moment
from jobrunner.masking import redact, redact_value
from jobrunner.settings import Settings
from jobrunner.version import version

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

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


def own_output() -> IO[str]:
    """Standard output by a descriptor of our own, where it has one.

    A handler, or a library that makes a daemon of itself, may close it; what is opened next then has its number, such as a
    connection to the store, to which each line would be a command.
    """
    try:
        own = fcntl.fcntl(sys.stdout.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        return open(own, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    except (AttributeError, OSError, ValueError):  # there is none, or it is no file
        return sys.stdout


class Logs:
    """Where a process writes its lines.

    Args:
        settings: The level, the format, the sample and the service's name.
        stream: Where to; standard output by default.

    Attributes:
        settings: What was given, with the format that `auto` came to: what a child process is to write like.
    """

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        self.level = LEVELS[settings.log_level]
        self._stream = SafeStream(stream or own_output())
        if settings.log_format == "auto":
            settings = msgspec.structs.replace(
                settings, log_format="console" if self._stream.is_terminal else "json"
            )
        self.settings = settings
        self._sampling = Sampling(settings.log_sample)
        self._format = _line_format(settings)
        self._wrapper = structlog.make_filtering_bound_logger(self.level)

    def observer(self) -> Callable[[Event], None]:
        """What tells events to this log: an implementation of `jobrunner_event` like any other."""
        write = self._writer()
        if self._sampling.share == 1:

            def jobrunner_event(event: Event) -> None:
                write(event, 1.0)
        else:
            share_of = self._sampling.of_event

            def jobrunner_event(event: Event) -> None:
                if share := share_of(event):
                    write(event, share)

        wanted = tuple(kind for kind in EVENTS if LEVELS[kind.level] >= self.level)
        jobrunner_event.__annotations__["event"] = _union(wanted)
        return jobrunner_event

    def _writer(self) -> Callable[[Event, float], None]:
        """What writes an event's line; its second argument is the share of jobs that it stands for."""
        if self._format is not None:
            write, of_event = self._stream.write, self._format.of_event
            return lambda event, share: write(of_event(event, share))
        log = self._logger([])

        def as_text(event: Event, share: float) -> None:
            fields = readable(event, share)
            name, level = str(fields.pop("event")), str(fields.pop("level"))
            log.log(LEVELS[level], name, **fields)

        return as_text

    def job_logger(
        self, facts: Mapping[str, object], *, secrets: list[str], keep: Callable[[bytes], None]
    ) -> Logger:
        """A logger for a handler. Of a job that is not in the sample only warnings and errors are written.

        Args:
            facts: Keys that every line carries: queue, job_id, tenant, attempt, worker_id ...
            secrets: The job's secret values, replaced wherever they stand; the list may still grow.
            keep: Takes each line, as JSON, that is to be kept with the job.
        """
        sample = self._sampling.share
        is_sampled = sample == 1 or self._sampling.holds(str(facts.get("job_id", "")))

        def keep_line(_: object, level: str, fields: Fields) -> Fields:
            own = {key: value for key, value in fields.items() if key not in facts}
            line = encode_line(_masked(own, secrets))
            keep(line.encode("utf-8", "backslashreplace") + b"\n")
            if sample == 1 or LEVELS.get(level, LEVELS["error"]) >= LEVELS["warning"]:
                return fields
            if not is_sampled:
                raise structlog.DropEvent
            fields["sample"] = sample
            return fields

        return self._logger([keep_line], secrets).bind(**facts)

    def _logger(self, before: list[structlog.typing.Processor], secrets: list[str] | None = None) -> Logger:
        processors: list[structlog.typing.Processor] = [_dated, *_ERRORS, *before, _ordered]
        if self._format is not None:
            processors.append(_render(self._format, secrets))
        else:
            processors += [structlog.dev.ConsoleRenderer(colors=self._stream.is_terminal), _redacted(secrets)]
        logger: Logger = structlog.wrap_logger(
            _Lines(self._stream), processors=processors, wrapper_class=self._wrapper, context_class=dict
        )
        return logger


def _line_format(settings: Settings) -> LineFormat | None:
    """The format of lines; None for text that people read."""
    match settings.log_format:
        case "json":
            return PlainLines()
        case "ecs":
            return EcsLines(settings.service_name)
        case "otel":
            return OtlpLines(settings.service_name, version())
        case _:
            return None


class _Lines:
    """What structlog's wrapper writes to."""

    def __init__(self, stream: SafeStream) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = self.msg = stream.write


def _dated(_: object, level: str, fields: Fields) -> Fields:
    fields["level"] = level
    fields.setdefault("timestamp", moment(datetime.now(UTC).timestamp()))
    return fields


def _ordered(_: object, __: str, fields: Fields) -> Fields:
    first = {key: fields[key] for key in FIXED if key in fields}
    return first | {key: value for key, value in fields.items() if key not in first}


def _render(form: LineFormat, secrets: list[str] | None) -> structlog.typing.Processor:
    def render(_: object, __: str, fields: Fields) -> str:
        return form.of_handler(_masked(fields, secrets))

    return render


def _masked(fields: Mapping[str, object], secrets: list[str] | None) -> Mapping[str, object]:
    """A handler's fields without its secrets. What jobrunner says of time and level is left as it is."""
    if not secrets:
        return fields
    plain = redact_value(msgspec.json.decode(encode_line(fields)), secrets)
    assert isinstance(plain, dict)
    return plain | {key: fields[key] for key in ("timestamp", "level") if key in fields}


def _redacted(secrets: list[str] | None) -> structlog.typing.Processor:
    def redacted(_: object, __: str, line: Any) -> Any:
        return redact(line, secrets) if secrets else line

    return redacted


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
