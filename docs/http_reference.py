"""Writes the reference of the HTTP API from the application's own OpenAPI document, with the queues of the bundled plugins.

Opens no port and no store: the application is put together, and asked for its document.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import msgspec

from jobrunner.errors import PayloadError
from jobrunner.plugins import load
from jobrunner_http import access
from jobrunner_http.api.describing import ALWAYS, TAGS, WHAT
from jobrunner_http.api.document import PREFIX, with_queues
from jobrunner_http.app import build, create_app
from jobrunner_http.dashboard import Dashboard
from jobrunner_http.patterns import WORDS
from jobrunner_http.problems import problem_of
from jobrunner_http.settings import HttpSettings

PLUGINS = ("analytics", "approval", "content", "image", "publish", "whatsapp")
TRIAL = "/api/queue/test/"

Schema = Mapping[str, Any]
Documented = Callable[[ModuleType], dict[tuple[str, str], str]]

INTRO = """
    What `jobrunner serve` answers to programs. [The plugin's page](../../plugins/http/README.md) says how to set it up, and has
    a first request; the dashboard is for people, and [has its own](../how-to/use-the-dashboard.md).

    A token goes into the header `Authorization: Bearer jrt_...`; bodies and answers are JSON in camelCase, times are ms since
    1970 unless it says otherwise. Where an operation takes a body, a field that it does not know is refused; a change refuses
    a query that it does not know too, and a body where it takes none. `x-tenant-id` holds any request to one of the token's tenants. `GET /api/openapi.json`
    is this page for programs, with the payloads of the queues that the token sees.
"""


def page(note: str, documented: Documented) -> str:
    """The page.

    Args:
        note: The line that says where the page comes from.
        documented: Reads the strings below the fields of a module's classes: (class, field) -> text.
    """
    document, routes = _document()
    lines = ["# HTTP", note, "", inspect.cleandoc(INTRO), "", "## Roles", ""]
    lines += ["Each role may do what those above it may.", "", "| role | may |", "|---|---|"]
    lines += [f"| `{name}` | {text} |" for name, text in _roles()]
    lines += ["", *_problems()]
    for tag, text in TAGS.items():
        lines += ["", f"## Routes: {tag}", "", text]
        if tag == "test":
            lines += ["", "| queue | route |", "|---|---|"]
            lines += [f"| `{queue}` | `POST {TRIAL}{route}` |" for queue, route in routes]
        for path, method, operation in _operations(document, tag):
            lines += ["", *_operation(path, method, operation)]
    lines += [
        "",
        "## Types",
        "",
        "What bodies and answers are made of. What is in *italics* may be left out of a body, or not be there in an answer.",
    ]
    classes = _classes()
    for name, schema in sorted(document["components"]["schemas"].items()):
        if "." not in name:  # those of payloads have one: they are the queues' own
            lines += ["", *_type(name, schema, classes.get(name), documented)]
    return "\n".join(lines) + "\n"


def _document() -> tuple[Schema, list[tuple[str, str]]]:
    """The OpenAPI document, and each queue with its route."""
    plugins = load(PLUGINS, {}, strict=True)
    site = create_app({}, plugins=plugins, settings=HttpSettings()).site
    app = build(site, Dashboard(site))
    queues = [plugins.queues[name] for name in sorted(plugins.queues)]
    document = with_queues(app, app.openapi_schema.to_schema(), queues)
    return document, [(queue.name, queue.route) for queue in queues if queue.route]


def _operations(document: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    """The operations of a group; what is written once for each queue counts once."""
    trials = 0
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag not in operation["tags"] or (path.endswith("/jobs") and "{queue}" not in path):
                continue
            if path.startswith(TRIAL):
                trials += 1
                if trials == 1:
                    yield f"{TRIAL}{{group}}/{{action}}", method, operation
            else:
                yield path, method, operation


def _operation(path: str, method: str, operation: Schema) -> Iterator[str]:
    text, _, role = operation["description"].rpartition(" Role: ")
    yield f"### `{method.upper()} {path}`"
    yield ""
    yield f"{text} Role: `{role.rstrip('.')}`." if text else operation["description"]
    rows = [
        one for one in operation.get("parameters", ()) if one["in"] != "path" and one["name"] != "x-tenant-id"
    ]
    if rows:
        yield ""
        yield "| parameter | in | type | |"
        yield "|---|---|---|---|"
        for one in rows:
            kind = _kind(one["schema"]) + _default(one["schema"])
            yield f"| {_named(one['name'], required=one['required'])} | {one['in']} | {_cell(kind)} | {one.get('description', '')} |"
    body = operation.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        kind = "the queue's payload" if path.startswith(TRIAL) else _kind(schema)
        yield ""
        yield f"Body: {kind}."
    good, bad = [], []
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            good.append(f"`{status}` {_answer(answer)}")
        elif int(status) not in ALWAYS or "health" in operation["tags"] or "probes" in operation["tags"]:
            own = [
                _kind(one["schema"])
                for media, one in answer["content"].items()
                if media == "application/json"
            ]
            if own or int(status) not in ALWAYS:
                bad.append(f"`{status}` {own[0]}" if own else f"`{status}`")
    always = "" if "probes" in operation["tags"] else ", and what [any of them](#problems) answers"
    yield ""
    yield f"Answers: {', '.join([*good, *bad])}{always}."


def _answer(answer: Schema) -> str:
    for media, one in answer.get("content", {}).items():
        kind = _kind(one["schema"]) if media == "application/json" else f"`{media}`"
        headers = [name for name in answer.get("headers", ()) if name == "Location"]
        return kind + (f" with `{headers[0]}`" if headers else "")
    return "without a body"


def _problems() -> Iterator[str]:
    """What an answer is where something is wrong, with one that the API really gives."""
    wrong = problem_of(PayloadError("publish.dispatch", "platforms[0].accountId", "missing"))
    shown = msgspec.json.format(wrong.body(), indent=2).decode()
    yield from ("## Problems", "", "Where something is wrong the answer is a [`Problem`](#problem),")
    yield from ("`application/problem+json` by RFC 9457; `field` is the path as it was sent:", "")
    yield from ("```json", shown, "```", "")
    yield from (
        "Any operation with a role may answer those in bold; the others stand where they can come.",
        "",
    )
    yield from ("| status | |", "|---|---|")
    for status, text in WHAT.items():
        yield f"| {f'**{status}**' if status in ALWAYS else status} | {text} |"
    yield ""
    yield "Besides: a method that an address does not have is a 405 with `Allow`, and a head that is too large or not HTTP a 431"
    yield "or 400 without a body."


def _type(name: str, schema: Schema, kind: type | None, documented: Documented) -> Iterator[str]:
    yield f"### {name}"
    text = schema.get("description", "")
    if not text and kind is not None:
        text = inspect.cleandoc(kind.__doc__ or "").partition("\n\nAttributes:")[0]
    if text:
        yield ""
        yield text
    if "enum" in schema:
        yield ""
        yield f"One of {_kind(schema)}."
    if "properties" in schema:
        told = _told(kind, documented)
        yield ""
        yield "| field | type | |"
        yield "|---|---|---|"
        for field, inner in schema["properties"].items():
            name_there = _named(field, required=field in schema.get("required", ()))
            kind_there = _kind(inner) + _default(inner)
            yield f"| {name_there} | {_cell(kind_there)} | {_cell(told.get(field, inner.get('description', '')))} |"


def _told(kind: type | None, documented: Documented) -> dict[str, str]:
    """What the classes say of their fields, by the wire's names."""
    if kind is None:
        return {}
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        for one in kind.__mro__:
            if issubclass(one, msgspec.Struct) and one is not msgspec.Struct:
                text = documented(sys.modules[one.__module__]).get((one.__name__, field.name), "")
                text = text or _attributes(one).get(field.name, "")
                if text:
                    found[field.encode_name] = text
                    break
    return found


def _attributes(kind: type) -> dict[str, str]:
    """The `Attributes:` section of a docstring: name -> text."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if line.startswith("    ") and not line.startswith("     ") and ": " in line:
            name, _, text = line.strip().partition(": ")
            found[name] = text
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _classes() -> dict[str, type[msgspec.Struct]]:
    """The Structs of the core and of the HTTP API, by name; the API's own go before the core's.

    What the test kit has is never told by the API, and is there only where somebody imported it before.
    """
    found: dict[str, type[msgspec.Struct]] = {}
    waiting: list[type[msgspec.Struct]] = [msgspec.Struct]
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            package, _, module = one.__module__.partition(".")
            is_own = package == "jobrunner_http"
            if is_own or (
                package == "jobrunner" and not module.startswith("testing") and one.__name__ not in found
            ):
                found[one.__name__] = one
    return found


def _roles() -> Iterator[tuple[str, str]]:
    """Every role with what its class says of it."""
    (tree,) = ast.parse(inspect.getsource(access.Role)).body
    assert isinstance(tree, ast.ClassDef)
    for before, after in zip(tree.body, tree.body[1:], strict=False):
        match before, after:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                yield access.Role[name].label, text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _named(name: str, *, required: bool) -> str:
    return f"`{name}`" if required else f"*`{name}`*"


def _kind(schema: Schema) -> str:
    """A JSON Schema in words, with links to the types of this page."""
    match schema:
        case {"$ref": str(target)}:
            name = target.removeprefix(PREFIX)
            return "the queue's payload" if "." in name else f"[{name}](#{name.lower()})"
        case {"allOf": [one]}:
            return _kind(one)
        case {"anyOf": several} | {"oneOf": several} if "properties" not in schema:
            return " or ".join(dict.fromkeys(_kind(one) for one in several))
        case {"enum": values}:
            return ", ".join(f"`{value}`" for value in values)
        case {"type": "array"}:
            return f"list of {_kind(schema.get('items', {}))}{_bounds(schema, 'Items', ' of them')}"
        case {"type": "object"}:
            return f"map{_bounds(schema, 'Properties', ' of them')}"
        case {"type": "string", "pattern": str(pattern)} if pattern in WORDS:
            return WORDS[pattern]
        case {"type": "string", "format": "date-time"}:
            return "time with a zone, RFC 3339"
        case {"type": "string"}:
            return f"text{_bounds(schema, 'Length', ' characters')}"
        case {"type": "integer" | "number" as kind}:
            return f"{'whole number' if kind == 'integer' else 'number'}{_range(schema)}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "null"}:
            return "null"
        case _:
            return "any value"


def _default(schema: Schema) -> str:
    value = schema.get("default")
    return "" if value in (None, "") else f"; by default `{json.dumps(value).strip(chr(34))}`"


def _bounds(schema: Schema, of: str, unit: str) -> str:
    least, most = schema.get(f"min{of}"), schema.get(f"max{of}")
    if most is None:
        return ""
    return f" ({least:,} to {most:,}{unit})" if least else f" (up to {most:,}{unit})"


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is None or most is None:
        return ""
    return f" ({json.dumps(_plain(least))} to {_plain(most):,})"


def _plain(number: float) -> float:
    return int(number) if float(number).is_integer() else number
