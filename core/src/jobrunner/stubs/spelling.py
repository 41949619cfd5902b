"""How types and default values are spelt in Python's source, and which imports that takes.

It spells what it is sure of, and refuses the rest by name. It imports nothing itself.
"""

from __future__ import annotations

import enum
import sys
import types
import typing
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import msgspec

FILE_MODULE = "jobrunner_file_"
"""What the name of a module that was loaded from a file begins with."""

MAX_LITERAL = 60
"""Characters of a default that is written down; a longer one is left to the payload's type."""


LINE = 100
"""Characters of a line of imports, past which each name gets its own."""


class UnspeakableError(Exception):
    """A type that another module cannot name."""


class Source:
    """The names of a module that is being written.

    Args:
        target: Where the plugin was loaded from; a file's types are imported from a module of its name.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._kept: set[str] = set()
        self._names: dict[type[object], str] = {}

    def keep(self, *names: str) -> None:
        """Keep names for the module's own use: what is imported under one of them is called otherwise."""
        self._kept.update(names)

    def imports(self, used: AbstractSet[str], *, standard: bool) -> list[str]:
        """The import lines of the types that are used, in order: those of the standard library, or the others."""
        by_module: dict[str, list[str]] = {}
        for kind, name in self._names.items():
            module, own = self._module(kind), kind.__name__
            if name in used and (module.partition(".")[0] in sys.stdlib_module_names) is standard:
                by_module.setdefault(module, []).append(own if own == name else f"{own} as {name}")
        return [
            line
            for module, names in sorted(by_module.items())
            for line in _import_lines(module, sorted(names))
        ]

    def type_name(self, kind: type[object]) -> str:
        """The name of a class, which is imported.

        Raises:
            UnspeakableError: It is local to a function, or inside another class.
        """
        if kind in self._names:
            return self._names[kind]
        if kind.__qualname__ != kind.__name__ or kind.__module__ == "__main__":
            raise UnspeakableError(
                f"the type {kind.__qualname__} is defined inside something else; put it at the top of its module"
            )
        name = kind.__name__
        if kind.__module__ == "builtins":
            return name
        while name in self._kept:
            name = f"{name}Type"
        self._kept.add(name)
        self._names[kind] = name
        return name

    def annotation(self, hint: object) -> str:
        """A type as an annotation.

        Raises:
            UnspeakableError: It has no spelling that is sure.
        """
        origin, arguments = get_origin(hint), get_args(hint)
        if hint is None or hint is type(None):
            return "None"
        if hint in (object, typing.Any):
            return "object"
        if isinstance(hint, typing.NewType):
            return self.annotation(hint.__supertype__)
        if isinstance(hint, typing.TypeVar):
            return "object"
        if origin is Annotated:
            return self.annotation(arguments[0])
        if origin in (typing.Union, types.UnionType):
            return " | ".join(self._unique(arguments))
        if origin is Literal:
            return f"{self.type_name_of('typing', 'Literal')}[{', '.join(map(self._choice, arguments))}]"
        if isinstance(origin, type):
            inner = ["..." if one is Ellipsis else self.annotation(one) for one in arguments]
            return f"{self.type_name(origin)}[{', '.join(inner) or '()'}]"
        if isinstance(hint, type):
            return self.type_name(hint)
        raise UnspeakableError(
            f"the type {hint!r} cannot be spelt; write the producers of this queue by hand"
        )

    def type_name_of(self, module: str, name: str) -> str:
        """The name of something that is no class, which is imported."""
        stand_in = _STAND_INS.setdefault((module, name), type(name, (), {"__module__": module}))
        return self.type_name(stand_in)

    def literal(self, field: msgspec.structs.FieldInfo) -> str | None:
        """A field's default as source, or None where it cannot be written down or must not be shared."""
        value = field.default
        if value is msgspec.NODEFAULT:
            return None
        return self._value(value)

    def _value(self, value: object) -> str | None:
        if isinstance(value, enum.Enum):
            return f"{self.type_name(type(value))}.{value.name}"
        if value is None or type(value) in (bool, int, str) or value == ():
            text = _quoted(value) if isinstance(value, str) else repr(value)
            return text if len(text) <= MAX_LITERAL else None
        if isinstance(value, float) and type(value) is float:
            return (
                repr(value) if value - value == 0 else None
            )  # infinities and what is no number have no literal
        if type(value) is tuple:
            parts = [self._value(one) for one in value]
            text = f"({', '.join(str(part) for part in parts)}{',' if len(parts) == 1 else ''})"
            return text if None not in parts and len(text) <= MAX_LITERAL else None
        return None

    def _choice(self, value: object) -> str:
        text = self._value(value)
        if text is None:
            raise UnspeakableError(f"the literal {value!r} is too long to be written down")
        return text

    def _unique(self, hints: Iterable[object]) -> list[str]:
        return list(dict.fromkeys(self.annotation(one) for one in hints))

    def _module(self, kind: type[object]) -> str:
        return self._target.stem if kind.__module__.startswith(FILE_MODULE) else kind.__module__


_STAND_INS: dict[tuple[str, str], type[object]] = {}
"""(module, name) -> a class of that name: so that what is no class is imported as classes are."""


def _quoted(text: str) -> str:
    """A text in double quotes, as the usual formatters have it."""
    plain = repr(text)
    if plain[0] == '"' or '"' in text:
        return plain
    return f'"{plain[1:-1]}"'


def _import_lines(module: str, names: list[str]) -> list[str]:
    """As the usual sorters have it: what is renamed on a line of its own, after the others."""
    plain = [name for name in names if " as " not in name]
    lines = [f"from {module} import {', '.join(plain)}"] if plain else []
    if plain and len(lines[0]) > LINE:
        lines = ["\n".join([f"from {module} import (", *(f"    {name}," for name in plain), ")"])]
    return lines + [f"from {module} import {name}" for name in names if " as " in name]
