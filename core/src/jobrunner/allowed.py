"""What a value may be, in words, for a message about one that may not.

Reads types and their marks. Checks nothing itself: msgspec does, and names what it found.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, get_args, get_origin

import msgspec

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
"""One step of a path as msgspec writes it: a field, a place in a list, or any value of a map."""

WRITTEN = "write it as 2026-12-24T18:00:00Z"


def at_path(kind: object, path: str) -> object:
    """Return the type of what lies at a path, marks and all; None where it cannot be told.

    Args:
        kind: The type of the whole.
        path: As msgspec writes it, without the `$`: `.platforms[0].accountId`.
    """
    for step in _STEP.finditer(path):
        kind = next(_below(kind, step.group(1)), None)
    return kind


def in_words(kind: object, problem: str) -> str:
    """Return what a value of a type may be, where msgspec's own words do not say it to people; else an empty text.

    Args:
        kind: The type, marks and all.
        problem: What msgspec said.
    """
    kinds = list(branches(kind))
    words = [str(word) for one in kinds if get_origin(one) is Literal for word in get_args(one)]
    if words and "enum value" in problem:
        return f"it is one of {', '.join(words)}"
    if "RFC3339" in problem and datetime in kinds:
        return WRITTEN
    if "matching regex" in problem:
        marks = (mark for mark in _marks(kind) if isinstance(mark, msgspec.Meta) and mark.pattern is not None)
        return next((f"it must be {mark.description}" for mark in marks if mark.description), "")
    return ""


def branches(kind: object) -> Iterator[object]:
    """The branches of a type, with marks and unions taken apart."""
    if get_origin(kind) is Annotated:
        yield from branches(get_args(kind)[0])
    elif get_origin(kind) in (typing.Union, types.UnionType):
        for branch in get_args(kind):
            yield from branches(branch)
    else:
        yield kind


def _marks(kind: object) -> Iterator[object]:
    """All marks of a type, those of its branches too."""
    if get_origin(kind) is Annotated:
        yield from get_args(kind)[1:]
        yield from _marks(get_args(kind)[0])
    elif get_origin(kind) in (typing.Union, types.UnionType):
        for branch in get_args(kind):
            yield from _marks(branch)


def _below(kind: object, name: str | None) -> Iterator[object]:
    """The types that lie one step below a type: of its field of a name on the wire, or of what it holds."""
    for branch in branches(kind):
        held = get_args(branch)
        if name is not None and isinstance(branch, type) and issubclass(branch, msgspec.Struct):
            fields = msgspec.structs.fields(branch)
            yield from (field.type for field in fields if field.encode_name == name)
        elif name is None and get_origin(branch) is dict:
            yield held[1]
        elif name is None and get_origin(branch) in (list, tuple, set, frozenset):
            yield held[0]
