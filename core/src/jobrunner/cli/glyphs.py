"""The signs that a picture is drawn with, for terminals that have them and for those that know ASCII only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self


class Glyphs(NamedTuple):
    """One set of signs."""

    busy: str
    idle: str
    wrong: str
    full: str
    empty: str
    steps: str

    @classmethod
    def of(cls, *, ascii_only: bool) -> Self:
        """Those that a terminal can show."""
        if ascii_only:
            return cls(busy="*", idle=".", wrong="!", full="#", empty="-", steps="_.-=^")
        return cls(busy="●", idle="○", wrong="▲", full="━", empty="─", steps="▁▂▃▄▅▆▇█")


def sparkline(values: Sequence[float], glyphs: Glyphs) -> str:
    """A sign a value, higher for more; the lowest is nought, the highest the most of them."""
    most = max(values, default=0.0)
    top = len(glyphs.steps) - 1
    if most <= 0:
        return glyphs.steps[0] * len(values)
    # What is there at all is seen: only nought has the lowest sign.
    return "".join(glyphs.steps[max(round(value / most * top), 1 if value > 0 else 0)] for value in values)


def bar(part: int, whole: int, width: int, glyphs: Glyphs) -> tuple[str, str]:
    """The full and the empty piece of a bar; what is not nought is seen, and only what is full is full."""
    if whole <= 0:
        return "", glyphs.empty * width
    filled = min(width, max(part * width // whole, 1 if part > 0 else 0))
    return glyphs.full * filled, glyphs.empty * (width - filled)
