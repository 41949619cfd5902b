"""Write `docs/reference/` from the code, so that it cannot say anything else.

uv run python docs/build_reference.py            # write
uv run python docs/build_reference.py --check    # exit 1 if something would change
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec

sys.path.insert(0, str(Path(__file__).parent))  # for whoever loads this by its path

import cli_reference
import http_reference

from jobrunner import errors, events, hookspecs, settings
from jobrunner.events import EVENTS, Event, event_name
from jobrunner.lines import ecs, form, otlp
from jobrunner.lines.sampling import ROUTINE
from jobrunner.store import keys

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/build_reference.py: change the code, not this page. -->"

FORMATS = """
    The same events in three shapes: `json` is [jobrunner's own](events.md), `ecs` the Elastic Common Schema, `otel` OTLP.
    In the latter two, what is empty is left out. [Ship the logs](../how-to/logs.md) has recipes.
"""
NANOSECONDS = {"event.duration": ", in nanoseconds"}
SAMPLE = {
    "type": "number",
    "exclusiveMinimum": 0,
    "exclusiveMaximum": 1,
    "description": "The share of jobs that this line stands for, where JOBRUNNER_LOG_SAMPLE is below 1.",
}


def main() -> int:
    """Write or check every page."""
    check, stale = "--check" in sys.argv[1:], []
    for name, text in pages().items():
        path = FOLDER / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run python docs/build_reference.py")
        return 1
    return 0


def pages() -> dict[str, str]:
    """Every page: file name -> text."""
    return {
        "events.md": events_page(),
        "log-formats.md": log_formats_page(),
        "events.schema.json": json.dumps(line_schema(), indent=2, sort_keys=True) + "\n",
        "hooks.md": hooks_page(),
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "cli.md": cli_reference.page(NOTE),
        "keys.md": keys_page(),
        "http.md": http_reference.page(NOTE, documented_fields),
    }


def events_page() -> str:
    """The catalogue of events."""
    docs = documented_fields(events)
    lines = [
        "# Events and log lines",
        NOTE,
        "",
        "Each event is one JSON object a line on standard output and one call of `jobrunner_event`. The keys `event`,",
        "`level` and `timestamp` are in every line. A handler's own lines (`job.log`) carry `logger: handler`, the job's",
        "keys, and what the handler gave. [events.schema.json](events.schema.json) describes every line, and",
        "[log formats](log-formats.md) says what the keys are called in ECS and OpenTelemetry.",
        "",
        "| event | level | told when |",
        "|---|---|---|",
    ]
    lines += [
        f"| [`{event_name(kind)}`](#{anchor(kind)}) | {kind.level} | {first_sentence(kind)} |"
        for kind in EVENTS
    ]
    for kind in EVENTS:
        lines += [
            "",
            f"## {event_name(kind)}",
            "",
            inspect.cleandoc(kind.__doc__ or ""),
            "",
            "| key | type | |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{field.encode_name}` | {type_name(field.type)} | {field_text(kind, field.name, docs)} |"
            for field in msgspec.structs.fields(kind)
            if field.name != "timestamp"
        ]
    return "\n".join(lines) + "\n"


def log_formats_page() -> str:
    """What every key of every event is called in the other formats."""
    lines = ["# Log formats", NOTE, "", inspect.cleandoc(FORMATS), ""]
    lines += ["| key | `--log-format ecs` | `--log-format otel` |", "|---|---|---|"]
    for key in _every_key():
        place = form.place(key)
        there = "`traceId` of the record" if key == "trace_id" else f"attribute `{place.otel}`"
        lines.append(f"| `{key}` | `{place.ecs}`{NANOSECONDS.get(place.ecs, '')} | {there} |")
    lines += ["", "## What else an ECS line has", "", "| field | value |", "|---|---|"]
    lines += [
        "| `@timestamp` | the event's time, UTC, to the millisecond |",
        "| `log.level` | `debug`, `info`, `warning`, `error`, `critical` |",
        "| `message` | the event's name; in a handler's line what it called it |",
        f"| `ecs.version` | `{ecs.ECS_VERSION}` |",
        "| `service.name`, `event.dataset` | `OTEL_SERVICE_NAME` (`jobrunner`), and the same with `.log` |",
        "| `event.action` | the event's name; not in a handler's line |",
        f"| `event.outcome` | {', '.join(f'`{value}` of `{name}`' for name, value in ecs.OUTCOMES.items())} |",
        "| `labels` | the handler's own keys: numbers, truths and texts as they are, all else as JSON in a text |",
        "",
        "Maps, such as `queues` of `worker.started`, are lists of `name=value`: a queue's name never becomes a field.",
        "",
        "## What else an OTLP line has",
        "",
        "Each line is one LogsData message with one record, in OTLP's JSON.",
        "",
        "| field | value |",
        "|---|---|",
        "| `timeUnixNano`, `observedTimeUnixNano` | the event's time |",
        f"| `severityNumber` | {', '.join(f'{number} `{level}`' for level, number in otlp.SEVERITIES.items())} |",
        "| `severityText` | the level |",
        "| `eventName` | the event's name; not in a handler's line |",
        "| `body` | the event's name; in a handler's line what it called it |",
        "| `attributes` | as above; the handler's own keys keep their names |",
        "| resource | `service.name` (`OTEL_SERVICE_NAME`, `jobrunner`), `service.version` |",
        f"| scope | `{otlp.SCOPE}` |",
    ]
    return "\n".join(lines) + "\n"


def _every_key() -> list[str]:
    """Every key of the catalogue, then those of handlers and of samples, each once."""
    keys_there = [key for kind in EVENTS for _, key in form.keys_of(kind)]
    return list(dict.fromkeys([*keys_there, "logger", "exception", "stack", "sample"]))


def line_schema() -> dict[str, object]:
    """The JSON Schema of a log line: any event, or a line of a handler."""
    docs = documented_fields(events)
    branches: list[dict[str, object]] = []
    for kind in EVENTS:
        (schema,), components = msgspec.json.schema_components([kind])
        inner = components[str(schema["$ref"]).rpartition("/")[2]]
        properties = dict(inner["properties"])
        properties["event"] = {"const": event_name(kind)}
        properties["level"] = {"const": kind.level}
        properties["timestamp"] = {"type": "string", "format": "date-time"}
        if kind in ROUTINE:
            properties["sample"] = SAMPLE
        for field in msgspec.structs.fields(kind):
            text = field_text(kind, field.name, docs)
            if text and field.encode_name in properties and field.name != "timestamp":
                properties[field.encode_name] = dict(properties[field.encode_name]) | {"description": text}
        branches.append(
            {
                "title": event_name(kind),
                "description": first_sentence(kind),
                "type": "object",
                "properties": properties,
                "required": sorted({*inner["required"], "event", "level", "timestamp"}),
                "additionalProperties": False,
            }
        )
    text = {"type": "string"}
    handler = {
        "title": "a handler's line",
        "type": "object",
        "properties": {
            **dict.fromkeys(("event", "queue", "plugin", "job_id", "tenant", "worker_id"), text),
            "level": {"enum": ["debug", "info", "warning", "error", "critical"]},
            "timestamp": {"type": "string", "format": "date-time"},
            "attempt": {"type": "integer"},
            "logger": {"const": "handler"},
            "trace_id": text,
            "sample": SAMPLE,
        },
        "required": ["event", "level", "timestamp", "logger", "queue", "job_id", "attempt"],
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A log line of jobrunner",
        "anyOf": [*branches, handler],
    }


def hooks_page() -> str:
    """The six hooks."""
    lines = ["# Hooks", NOTE, "", inspect.cleandoc(hookspecs.__doc__ or "").partition("\n\n")[2]]
    for name, function in vars(hookspecs).items():
        if name.startswith("jobrunner_"):
            lines += [
                "",
                f"## {name}",
                "",
                "```python",
                f"def {name}{inspect.signature(function)}",
                "```",
                "",
            ]
            lines.append(inspect.cleandoc(function.__doc__ or ""))
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """The environment variables of the core."""
    lines = ["# Settings", NOTE, "", inspect.cleandoc(settings.__doc__ or "").partition("\n\n")[2], ""]
    described = attributes_of(settings.Settings)
    lines += ["| variable | default | |", "|---|---|---|"]
    for name, variable in settings.VARIABLES.items():
        default = next(
            field.default for field in msgspec.structs.fields(settings.Settings) if field.name == name
        )
        shown = (
            "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        )
        lines.append(f"| `{variable}` | {shown} | {described[name].replace(f' `{variable}`.', '')} |")
    lines += [
        (
            "| `REDIS_URL` | | The store: `redis://`, `rediss://`, `unix://`, `redis+sentinel://h1:p,h2:p/master/db`, "
            "`redis+cluster://h1:p,h2:p`, `embedded:///folder`; wins over the next five. |"
        ),
        "| `REDIS_HOST` | `localhost` | |",
        "| `REDIS_PORT` | `6379` | |",
        "| `REDIS_USERNAME` | | |",
        "| `REDIS_PASSWORD` | | |",
        "| `REDIS_DB` | `0` | |",
        "| `PUBLISH_WORKER_CONCURRENCY` ... | | Whatever a queue names with `concurrency_env` overrides its concurrency. |",
        "",
        "A plugin's field `graph_url` is `JOBRUNNER_<PLUGIN>_GRAPH_URL`; its README lists them.",
    ]
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Every exception."""
    lines = ["# Errors", NOTE, "", "| error | exit status | |", "|---|---|---|"]
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == errors.__name__:
            status = getattr(kind, "exit_status", "")
            lines.append(f"| `{name}` | {status} | {first_sentence(kind)} |")
    return "\n".join(lines) + "\n"


def keys_page() -> str:
    """Every key of a queue."""
    source = inspect.getsource(keys)
    described = re.findall(r'^    "(\w+)",  # (\w+): (.+)$', source, flags=re.MULTILINE)
    lines = [
        "# Redis keys",
        NOTE,
        "",
        "All keys of a queue share one hash tag: `jr:{publish.dispatch}:wait`. `jr` is `JOBRUNNER_PREFIX`.",
    ]
    lines += [
        "They are for looking at, never for writing: every change is one script.",
        "",
        "| key | type | holds |",
        "|---|---|---|",
    ]
    lines += [f"| `{name}` | {kind} | {text} |" for name, kind, text in described]
    lines.append("| `memory:WORKER` | hash | a consumer's last exchange; expires after a day |")
    lines += [
        "",
        "Of no queue: `jr:{!fleet}:queues`, `jr:{!fleet}:schemas` (what workers declare), `jr:{!fleet}:workers` (their reports), `jr:{!fleet}:tokens` (the digests of the HTTP API's tokens).",
    ]
    return "\n".join(lines) + "\n"


# ---- reading the code --------------------------------------------------------------------------------------------


def documented_fields(module: ModuleType) -> dict[tuple[str, str], str]:
    """The strings below the fields of a module's classes: (class, field) -> text."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for before, after in zip(node.body, node.body[1:], strict=False):
            match before, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[node.name, name] = " ".join(text.split())
    return found


def field_text(kind: type, name: str, docs: dict[tuple[str, str], str]) -> str:
    """What is said of a field, in its class or in one above it."""
    return next((docs[one.__name__, name] for one in kind.__mro__ if (one.__name__, name) in docs), "")


def attributes_of(kind: type) -> dict[str, str]:
    """The `Attributes:` section of a docstring: name -> text."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    return dict(_entries(section))


def _entries(section: str) -> Iterator[tuple[str, str]]:
    entry: list[str] = []
    for line in [*section.splitlines(), "    end: "]:
        if line.startswith("    ") and not line.startswith("     ") and ": " in line:
            if entry:
                name, _, text = " ".join(entry).partition(": ")
                yield name, text
            entry = [line.strip()]
        else:
            entry.append(line.strip())


def first_sentence(kind: type) -> str:
    """The first sentence of a docstring, on one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].split())


def anchor(kind: type[Event]) -> str:
    """The anchor of an event's heading."""
    return event_name(kind).replace(".", "")


def type_name(kind: object) -> str:
    """A type in the words of JSON."""
    text = str(kind)
    for name, word in (
        ("int", "integer"),
        ("bool", "true or false"),
        ("float", "number"),
        ("dict", "map"),
        ("str", "text"),
    ):
        if (
            kind is getattr(__builtins__, name, None)
            or f"'{name}'" in text
            or text.startswith(name)
            or f"[{name}" in text
        ):
            return word
    return text


if __name__ == "__main__":
    sys.exit(main())
