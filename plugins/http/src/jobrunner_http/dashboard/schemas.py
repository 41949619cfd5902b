"""A payload's JSON Schema as tables that people read. A schema may come from the store, so anything may stand in it."""

from __future__ import annotations

import msgspec

from jobrunner_http.dashboard.phrases import short

MAX_GROUPS = 50
MAX_FIELDS = 200

BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} long",
    "maxLength": "at most {} long",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "like {}",
    "format": "{}",
}


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """A field: its name as on the wire, what it holds, and whether it must be there."""

    name: str
    kind: str
    required: bool
    note: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """An object's fields."""

    name: str
    description: str
    fields: list[Field]


def fields_of(schema: dict[str, object]) -> list[Group]:
    """The objects of a schema, the payload itself first."""
    found = schema.get("$defs")
    definitions = found if isinstance(found, dict) else {}
    main = schema
    reference = schema.get("$ref")
    name = reference.rpartition("/")[2] if isinstance(reference, str) else ""
    if name in definitions:
        main = definitions[name]
    rest = [(str(key), one) for key, one in definitions.items() if key != name]
    groups = [_group(name or "Payload", main), *(_group(key, one) for key, one in rest)]
    return [group for group in groups if group is not None and group.fields][:MAX_GROUPS]


def _group(name: str, schema: object) -> Group | None:
    if not isinstance(schema, dict):
        return None
    properties, required = schema.get("properties"), schema.get("required")
    if not isinstance(properties, dict):
        return None
    needed = required if isinstance(required, list) else []
    fields = [
        Field(name=str(key), kind=_kind(one), required=key in needed, note=_note(one))
        for key, one in list(properties.items())[:MAX_FIELDS]
    ]
    return Group(name=name, description=short(str(schema.get("description", "")), 500), fields=fields)


def _kind(schema: object, depth: int = 0) -> str:
    """What a field holds: `text`, `list of Post`, `text or nothing`."""
    if not isinstance(schema, dict) or depth > 4:
        return "anything"
    reference, either, values = schema.get("$ref"), schema.get("anyOf"), schema.get("enum")
    if isinstance(reference, str):
        return reference.rpartition("/")[2]
    if isinstance(either, list):
        return " or ".join(dict.fromkeys(_kind(one, depth + 1) for one in either[:8]))
    if isinstance(values, list):
        return "one of " + short(values, 200)
    if "const" in schema:
        return short(schema["const"], 80)
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema.get('items'), depth + 1)}"
        case "object":
            return "object"
        case "null":
            return "nothing"
        case str() as kind:
            return {
                "string": "text",
                "integer": "whole number",
                "number": "number",
                "boolean": "yes or no",
            }.get(kind, short(kind, 40))
        case _:
            return "anything"


def _note(schema: object) -> str:
    if not isinstance(schema, dict):
        return ""
    notes = [words.format(short(schema[key], 80)) for key, words in BOUNDS.items() if key in schema]
    if "default" in schema:
        notes.append(f"{short(schema['default'], 80)} if left out")
    described = short(str(schema.get("description", "")), 300)
    return " · ".join([*notes, *([described] if described else [])])
