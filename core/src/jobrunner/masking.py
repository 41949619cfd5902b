"""Secrets: how a field is marked as one, and how it is kept out of what people and logs see.

`Annotated[str, Secret]` marks a field of a payload or of settings. The type says where secrets are, the value
says what they are: the first masks structures, the second replaces text. Nothing here encrypts anything.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, get_args, get_origin

import msgspec

MASK = "***"

MIN_SECRET = 6
"""Characters below which a secret value is not replaced in text: shorter ones stand in ordinary words."""


class Secret:
    """The mark: `token: Annotated[str, Secret]`. On a map or list it covers everything inside."""


class _Shape(msgspec.Struct, frozen=True):
    """Where secrets lie below a value: everywhere, or under some fields or items."""

    everything: bool = False
    fields: dict[str, tuple[str, _Shape]] = {}
    items: _Shape | None = None


_NOTHING = _Shape()
_EVERYTHING = _Shape(everything=True)


def has_secrets(kind: object) -> bool:
    """Say whether a type marks anything as secret."""
    return _shape(kind) is not _NOTHING


def masked(value: object, kind: object) -> object:
    """Return `value` as plain maps and lists, with what `kind` marks as secret replaced by `***`.

    Args:
        value: A Struct or what its JSON decodes to, in the names of the wire.
        kind: The type that carries the marks.
    """
    return _mask(msgspec.to_builtins(value), _shape(kind))


def secret_values(value: object, kind: object) -> list[str]:
    """The secret strings inside a value, longest first; those under `MIN_SECRET` characters are left out."""
    shape = _shape(kind)
    if shape is _NOTHING:
        return []
    found = {text for text in _collect(msgspec.to_builtins(value), shape) if len(text) >= MIN_SECRET}
    # As JSON writes it, too: a token with a quote or an umlaut would slip through otherwise.
    found |= {
        written
        for text in found
        for written in (json.dumps(text)[1:-1], msgspec.json.encode(text).decode()[1:-1])
    }
    return sorted(found, key=len, reverse=True)


def redact(text: str, secrets: list[str]) -> str:
    """Replace each secret in a text."""
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text


def redact_json(raw: bytes, secrets: list[str]) -> bytes:
    """Replace each secret in the texts of a JSON value; numbers and names of fields stay as they are."""
    return msgspec.json.encode(_redacted(msgspec.json.decode(raw), secrets)) if secrets else raw


def _redacted(value: object, secrets: list[str]) -> object:
    match value:
        case str():
            return redact(value, secrets)
        case dict():
            return {name: _redacted(item, secrets) for name, item in value.items()}
        case list():
            return [_redacted(item, secrets) for item in value]
        case _:
            return value


def hide_in_repr(kind: object) -> None:
    """Give a Struct type with secret fields a repr that masks them, and the types inside it too."""
    for struct in _structs(kind, set()):
        if has_secrets(struct) and "_jobrunner_masks" not in struct.__dict__:
            struct.__repr__ = _masked_repr  # type: ignore[method-assign, assignment]  # a type of the plugin's, made safe once
            struct._jobrunner_masks = True  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark


def _masked_repr(self: msgspec.Struct) -> str:
    shape = _shape(type(self))
    parts = []
    for name in self.__struct_fields__:
        value = getattr(self, name)
        inner = shape.fields.get(name, (name, _NOTHING))[1]
        shown = repr(MASK) if inner.everything else repr(value)
        parts.append(f"{name}={shown}")
    return f"{type(self).__name__}({', '.join(parts)})"


@functools.lru_cache(maxsize=512)
def _cached(kind: object) -> _Shape:
    return _build(kind, ())


def _shape(kind: object) -> _Shape:
    try:
        return _cached(kind)
    except TypeError:  # an unhashable annotation
        return _build(kind, ())


def _build(kind: object, above: tuple[object, ...]) -> _Shape:
    if get_origin(kind) is Annotated:
        inner, *marks = get_args(kind)
        if any(mark is Secret or isinstance(mark, Secret) for mark in marks):
            return _EVERYTHING
        return _build(inner, above)
    if kind in above:  # a recursive type: what lies deeper is masked as the level above it
        return _NOTHING
    above = (*above, kind)
    if isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)):
        hints = typing.get_type_hints(kind, include_extras=True)
        wire = dict(
            zip(
                getattr(kind, "__struct_fields__", ()),
                getattr(kind, "__struct_encode_fields__", ()),
                strict=True,
            )
        )
        fields = {}
        for name, hint in hints.items():
            shape = _build(hint, above)
            if shape is not _NOTHING:
                fields[name] = (wire.get(name, name), shape)
        return _Shape(fields=fields) if fields else _NOTHING
    shapes = [shape for shape in (_build(arg, above) for arg in get_args(kind)) if shape is not _NOTHING]
    if not shapes:
        return _NOTHING
    origin = get_origin(kind)
    if isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset, Mapping)):
        return _Shape(items=shapes[-1])
    return _merge(shapes)  # a union: any branch may be there


def _merge(shapes: list[_Shape]) -> _Shape:
    if any(shape.everything for shape in shapes):
        return _EVERYTHING
    fields: dict[str, tuple[str, _Shape]] = {}
    for shape in shapes:
        fields |= shape.fields
    items = next((shape.items for shape in shapes if shape.items), None)
    return _Shape(fields=fields, items=items)


def _mask(value: object, shape: _Shape) -> object:
    if shape is _NOTHING:
        return value
    if shape.everything:
        return None if value is None else MASK
    match value:
        case dict():
            known = dict(shape.fields.values())
            known |= {name: inner for name, (_, inner) in shape.fields.items()}
            deeper = shape.items or _NOTHING
            return {key: _mask(item, known.get(key, deeper)) for key, item in value.items()}
        case list() | tuple():
            return [_mask(item, shape.items or shape) for item in value]
        case _:
            return value


def _collect(value: object, shape: _Shape) -> Iterator[str]:
    if shape is _NOTHING:
        return
    match value:
        case str() if shape.everything:
            yield value
        case dict():
            known = dict(shape.fields.values()) | {name: inner for name, (_, inner) in shape.fields.items()}
            deeper = _EVERYTHING if shape.everything else shape.items or _NOTHING
            for key, item in value.items():
                yield from _collect(item, known.get(key, deeper))
        case list() | tuple():
            for item in value:
                yield from _collect(item, shape if shape.everything else shape.items or shape)
        case _:
            return


def _structs(kind: object, seen: set[object]) -> Iterator[type[msgspec.Struct]]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return
        seen.add(kind)
        yield kind
        for hint in typing.get_type_hints(kind, include_extras=True).values():
            yield from _structs(hint, seen)
        return
    for arg in get_args(kind):
        yield from _structs(arg, seen)
