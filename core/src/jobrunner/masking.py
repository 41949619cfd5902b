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
from typing import Annotated, TypeGuard, get_args, get_origin

import msgspec

MASK = "***"

MIN_SECRET = 6
"""Characters below which a secret value is not replaced in text: shorter ones stand in ordinary words."""


class Secret:
    """The mark: `token: Annotated[str, Secret]`. On a map or list it covers everything inside."""


class _Shape(msgspec.Struct, frozen=True):
    """Where secrets lie below a value: everywhere, in fields of some types, or in what a map or list holds.

    Fields are looked up when they are met, since a type may hold itself.
    """

    everything: bool = False
    types: tuple[type, ...] = ()
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


def redact_value(value: object, secrets: list[str]) -> object:
    """Replace each secret wherever it stands in a JSON value: in texts, in names of fields, and as a number."""
    match value:
        case str():
            return redact(value, secrets)
        case dict():
            return {redact(name, secrets): redact_value(item, secrets) for name, item in value.items()}
        case list():
            return [redact_value(item, secrets) for item in value]
        case int() | float() if any(secret in str(value) for secret in secrets):
            return MASK
        case _:
            return value


def secret_fields(kind: object) -> dict[str, set[str]]:
    """Where secrets lie below a type: the name of each Struct type that has any -> its fields, in either spelling."""
    found: dict[str, set[str]] = {}
    for struct in _structs(kind, set()):
        if fields := _fields(struct):
            found.setdefault(struct.__name__, set()).update(fields)
    return found


def hide_in_repr(kind: object) -> None:
    """Give a Struct type with secret fields a repr that masks them, and the types inside it too."""
    for struct in _structs(kind, set()):
        if has_secrets(struct) and "_jobrunner_masks" not in struct.__dict__:
            struct.__repr__ = _masked_repr  # type: ignore[method-assign, assignment]  # a type of the plugin's, made safe once
            struct._jobrunner_masks = True  # type: ignore[attr-defined]  # noqa: SLF001 - our own mark


def _masked_repr(self: msgspec.Struct) -> str:
    known = _fields(type(self))
    parts = [
        f"{name}={_shown(getattr(self, name), known.get(name, _NOTHING))}" for name in self.__struct_fields__
    ]
    return f"{type(self).__name__}({', '.join(parts)})"


def _shown(value: object, shape: _Shape) -> str:
    """A value's repr with its secrets masked."""
    if shape is _NOTHING or value is None:
        return repr(value)
    if shape.everything:
        return repr(MASK)
    match value:
        case msgspec.Struct():  # it masks itself
            return repr(value)
        case dict():
            inside = [f"{key!r}: {_shown(item, _below(shape, key))}" for key, item in value.items()]
            return "{" + ", ".join(inside) + "}"
        case list() | tuple() | set() | frozenset():
            return "[" + ", ".join(_shown(item, shape.items or shape) for item in value) + "]"
    try:
        return repr(_mask(msgspec.to_builtins(value), shape))  # a dataclass: its own repr knows no marks
    except (TypeError, ValueError):
        return repr(MASK)


def _shape(kind: object) -> _Shape:
    try:
        return _remembered(kind)
    except TypeError:  # an unhashable annotation
        return _build(kind)


@functools.lru_cache(maxsize=512)
def _remembered(kind: object) -> _Shape:
    return _build(kind)


def _build(kind: object) -> _Shape:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _EVERYTHING if _is_marked(args) else _build(args[0])
    for named in (kind, origin):
        if _has_fields(named):
            if not _marks(named, set()):
                return _NOTHING
            # Written as an array, a Struct shows no names by which a field could be told.
            by_name = not getattr(getattr(named, "__struct_config__", None), "array_like", False)
            return _Shape(types=(named,)) if by_name else _EVERYTHING
    shapes = [shape for shape in map(_build, args) if shape is not _NOTHING]
    if shapes and isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset, Mapping)):
        return _Shape(items=_merge(shapes))
    return _merge(shapes)  # a union: any branch may be there


def _merge(shapes: list[_Shape]) -> _Shape:
    if not shapes:
        return _NOTHING
    if any(shape.everything for shape in shapes):
        return _EVERYTHING
    items = [shape.items for shape in shapes if shape.items is not None]
    types = tuple(kind for shape in shapes for kind in shape.types)
    return _Shape(types=types, items=_merge(items) if items else None)


def _marks(kind: object, seen: set[object]) -> bool:
    """Whether a mark can be reached from a type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated and _is_marked(args):
        return True
    if _has_fields(kind):
        if kind in seen:
            return False
        seen.add(kind)
        args = tuple(typing.get_type_hints(kind, include_extras=True).values())
    return any(_marks(arg, seen) for arg in args)


def _is_marked(args: tuple[object, ...]) -> bool:
    return any(mark is Secret or isinstance(mark, Secret) for mark in args[1:])


def _has_fields(kind: object) -> TypeGuard[type]:
    return isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind))


@functools.lru_cache(maxsize=512)
def _fields(kind: type) -> dict[str, _Shape]:
    """The fields of a type in which secrets lie, by either spelling."""
    names = getattr(kind, "__struct_fields__", ())
    wire = dict(zip(names, getattr(kind, "__struct_encode_fields__", ()), strict=True))
    found: dict[str, _Shape] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        shape = _shape(hint)
        if shape is not _NOTHING:
            found[name] = found[wire.get(name, name)] = shape
    return found


def _below(shape: _Shape, key: str) -> _Shape:
    """Where secrets lie in what a map holds under a key."""
    inner = [_fields(kind)[key] for kind in shape.types if key in _fields(kind)]
    return _merge(inner) if inner else shape.items or _NOTHING


def _mask(value: object, shape: _Shape) -> object:
    if shape is _NOTHING or value is None:
        return value
    if shape.everything:
        return MASK
    match value:
        case dict():
            return {key: _mask(item, _below(shape, key)) for key, item in value.items()}
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
            for key, item in value.items():
                yield from _collect(item, shape if shape.everything else _below(shape, key))
        case list() | tuple():
            for item in value:
                yield from _collect(item, shape if shape.everything else shape.items or shape)
        case _:
            return


def _structs(kind: object, seen: set[object]) -> Iterator[type[msgspec.Struct]]:
    """Every Struct type that can be reached from a type."""
    if not _has_fields(kind):
        for arg in get_args(kind):
            yield from _structs(arg, seen)
        return
    if kind in seen:
        return
    seen.add(kind)
    if issubclass(kind, msgspec.Struct):
        yield kind
    for hint in typing.get_type_hints(kind, include_extras=True).values():
        yield from _structs(hint, seen)
