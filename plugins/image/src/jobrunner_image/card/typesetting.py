"""Sets text: which font has its characters, where its lines break, and how large it can be in a box.

Fonts are the bundled ones, by name. Never opens a path that anybody gave.
"""

from __future__ import annotations

import importlib.resources
import io
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import msgspec
from PIL import ImageDraw, ImageFont

from jobrunner_image.card.colors import Color

FILES = {
    "Fredoka One": ("font_fredoka_one", "FredokaOne-Regular.ttf", "FredokaOne-Regular.ttf"),
    "Manrope": ("font_manrope", "Manrope-Medium.ttf", "Manrope-ExtraBold.ttf"),
    "Source Serif Pro": (
        "font_source_serif_pro",
        "SourceSerifPro-Regular.ttf",
        "SourceSerifPro-Semibold.ttf",
    ),
}
"""Family -> package, regular file, bold file."""

NO_CHARACTER = "\U0010ffff"
"""A place that Unicode keeps empty: whatever a font draws for it, it draws for all that it does not have."""

HEADLINE = 110
"""Characters past which a text is split into a headline and the rest."""

SENTENCE_END = re.compile(r"(?<=[.!?:\u2026])\s+")
SLACK = 1.02


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Text that is set: its lines, and what they need.

    Args:
        lines: In order.
        font: The font, in its size.
        leading: Pixels from one line to the next.
        width: Pixels of the longest line.
        height: Pixels from the first line's top to the last one's bottom.
    """

    lines: tuple[str, ...]
    font: ImageFont.FreeTypeFont
    leading: int
    width: int
    height: int


@lru_cache(maxsize=48)
def load_font(family: str, size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load a bundled font.

    Args:
        family: One of the bundled names.
        size: Pixels.
        bold: Whether to take its heavy cut, where it has one.
    """
    return ImageFont.truetype(io.BytesIO(_file(family, bold)), size)


@lru_cache(maxsize=2 * len(FILES))
def _file(family: str, bold: bool) -> bytes:  # noqa: FBT001 - a key of the cache
    package, regular, heavy = FILES[family]
    return (importlib.resources.files(package) / "files" / (heavy if bold else regular)).read_bytes()


def cleaned(text: str) -> str:
    """Return a text as one line, composed, without characters that are not printed."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(char for char in line if char.isprintable())


def split_copy(text: str) -> tuple[str, str]:
    """Split a long text behind its first sentences into a headline and the rest; the rest may be empty."""
    if len(text) <= HEADLINE:
        return text, ""
    head = ""
    for sentence in SENTENCE_END.split(text):
        longer = f"{head} {sentence}".strip()
        if len(longer) > HEADLINE:
            break
        head = longer
    return (head, text[len(head) :].strip()) if head else (text, "")


def choose_family(text: str, wanted: Sequence[str]) -> tuple[str, str, int]:
    """Choose the font that can set a text.

    Args:
        text: The text.
        wanted: Families by preference; all others come after them.

    Returns:
        The first family that has all characters, or the one that lacks the fewest; the text without those that
        it lacks; and how many these are.
    """
    best: tuple[int, str, str] | None = None
    for family in dict.fromkeys((*wanted, "Manrope", "Source Serif Pro", "Fredoka One")):
        kept = "".join(char for char in text if char == " " or _has(family, char))
        lost = len(text) - len(kept)
        if best is None or lost < best[0]:
            best = (lost, family, " ".join(kept.split()))
    assert best is not None
    return best[1], best[2], best[0]


@lru_cache(maxsize=4096)
def _has(family: str, char: str) -> bool:
    font = load_font(family, 24)
    drawn, none = font.getmask(char), font.getmask(NO_CHARACTER)
    return (drawn.size, bytes(drawn)) != (none.size, bytes(none))


def fit(
    text: str,
    *,
    family: str,
    bold: bool,
    width: int,
    height: int,
    largest: int,
    smallest: int,
    leading: float = 1.14,
) -> Block:
    """Set a text as large as it can be in a box, its lines about equally long.

    Args:
        text: One line of text, not empty.
        family: The font.
        bold: Whether in its heavy cut.
        width: Pixels of the box.
        height: Pixels of the box.
        largest: Pixels that the font has at most.
        smallest: Pixels that it has at least; a text that is still too long is cut off with an ellipsis.
        leading: The distance of lines, in parts of the font's own height.
    """
    low, high = smallest, max(smallest, largest)
    best = _set(text, load_font(family, low, bold=bold), width, leading)
    while low < high:
        middle = (low + high + 1) // 2
        block = _set(text, load_font(family, middle, bold=bold), width, leading, whole_words=True)
        if block.width <= width and block.height <= height:
            low, best = middle, block
        else:
            high = middle - 1
    if best.height > height:
        return _cut(best, width, height)
    return _balanced(text, best, width, leading)


def _set(
    text: str, font: ImageFont.FreeTypeFont, width: int, leading: float, *, whole_words: bool = False
) -> Block:
    lines = tuple(_wrapped(text, font, width, whole_words=whole_words))
    ascent, descent = font.getmetrics()
    step = round((ascent + descent) * leading)
    longest = max(font.getlength(line) for line in lines)
    return Block(
        lines=lines,
        font=font,
        leading=step,
        width=round(longest),
        height=step * (len(lines) - 1) + ascent + descent,
    )


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int, *, whole_words: bool) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = word
        while not whole_words and font.getlength(line) > width and len(line) > 1:
            count = _fitting(line, font, width)
            lines.append(line[:count])
            line = line[count:]
    return [*lines, line]


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    """How many of a word's characters fit into a line, 1 at least."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(word[:middle]) <= width else (low, middle - 1)
    return low


def _balanced(text: str, block: Block, width: int, leading: float) -> Block:
    """The same number of lines in the narrowest column: no line of one word below three full ones."""
    if len(block.lines) == 1:
        return block
    low, high, best = block.width // 2, width, block
    while low < high:
        middle = (low + high) // 2
        tried = _set(text, block.font, middle, leading, whole_words=True)
        if len(tried.lines) == len(block.lines) and tried.width <= middle * SLACK:
            high, best = middle, tried
        else:
            low = middle + 1
    return best


def _cut(block: Block, width: int, height: int) -> Block:
    """As many lines as the box holds, one at least, the last one with an ellipsis."""
    ascent, descent = block.font.getmetrics()
    count = max(1, 1 + (height - ascent - descent) // max(1, block.leading))
    lines = list(block.lines[:count])
    last = lines[-1]
    while last and block.font.getlength(f"{last}\u2026") > width:
        last = last[:-1]
    lines[-1] = f"{last.rstrip()}\u2026"
    return Block(
        lines=tuple(lines),
        font=block.font,
        leading=block.leading,
        width=round(max(block.font.getlength(line) for line in lines)),
        height=block.leading * (len(lines) - 1) + ascent + descent,
    )


def write(
    draw: ImageDraw.ImageDraw, block: Block, *, x: int, y: int, ink: Color, centered_in: int = 0
) -> None:
    """Draw a block.

    Args:
        draw: Where to.
        block: The text.
        x: Pixels from the left to its box.
        y: Pixels from the top to its first line's top.
        ink: The colour.
        centered_in: Pixels of the box in which each line is centred; 0 for flush left.
    """
    ascent, _ = block.font.getmetrics()
    for number, line in enumerate(block.lines):
        shift = round((centered_in - block.font.getlength(line)) / 2) if centered_in else 0
        draw.text(
            (x + shift, y + ascent + number * block.leading), line, font=block.font, fill=ink, anchor="ls"
        )
