"""The two spellings of a payload's fields: Python's (`tenant_id`) and the wire's (`tenantId`).

Only maps are respelled, following the type, so that a map which is data itself keeps its keys.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from typing import get_args, get_origin

import msgspec


def to_wire(value: object, kind: object) -> object:
    """Return `value` with the keys of every map that stands for a Struct in the wire's spelling.

    Args:
        value: Maps, lists and plain values, in either spelling or a mix.
        kind: The type that it is meant for.
    """
    if isinstance(value, msgspec.Struct):
        return value
    struct, item = _inside(kind)
    if isinstance(value, Mapping):
        if struct is None:
            return {key: to_wire(inner, item) for key, inner in value.items()} if item is not None else value
        names, hints = _names(struct)
        return {names.get(key, key): to_wire(inner, hints.get(key)) for key, inner in value.items()}
    if isinstance(value, (list, tuple)) and item is not None:
        return [to_wire(inner, item) for inner in value]
    return value


@functools.lru_cache(maxsize=512)
def _names(struct: type[msgspec.Struct]) -> tuple[dict[str, str], dict[str, object]]:
    """Python's name -> the wire's, and either name -> the field's type."""
    names = dict(zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True))
    hints = typing.get_type_hints(struct, include_extras=True)
    return names, {spelling: hints[name] for name, wire in names.items() for spelling in (name, wire)}


def _inside(kind: object) -> tuple[type[msgspec.Struct] | None, object]:
    """As `_look_inside`, remembered."""
    try:
        return _remembered(kind)
    except TypeError:  # an annotation that cannot be hashed
        return _look_inside(kind)


@functools.lru_cache(maxsize=1024)
def _remembered(kind: object) -> tuple[type[msgspec.Struct] | None, object]:
    return _look_inside(kind)


def _look_inside(kind: object) -> tuple[type[msgspec.Struct] | None, object]:
    """The Struct that a type stands for, if any, and the type of what a list or map of it holds, if any."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, None
    origin, args = get_origin(kind), get_args(kind)
    if origin is typing.Annotated:
        return _look_inside(args[0])
    if isinstance(origin, type) and issubclass(origin, (list, tuple, set, frozenset, Mapping)):
        return None, args[-1] if args and args[-1] is not Ellipsis else args[0] if args else None
    for branch in args:  # a union: the first branch that is a Struct or holds one
        found = _look_inside(branch)
        if found != (None, None):
            return found
    return None, None
