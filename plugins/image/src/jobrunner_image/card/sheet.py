"""What a style paints with: the card's size, palette, text and dice, and the text's places in it.

Measures and sets; which shapes there are is the styles'.
"""

from __future__ import annotations

import msgspec
from PIL import ImageDraw

from jobrunner_image.card.canvas import Box, Dice
from jobrunner_image.card.colors import Color, Palette
from jobrunner_image.card.typesetting import Block, choose_family, cleaned, fit, split_copy, write

SMALL = 200
"""Pixels of the shorter side below which a card has a headline only."""

LEAST_TEXT = 6
MOST_LABEL = 28


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """The words on a card, each with the font that has its characters.

    Args:
        headline: The prompt, or its first sentences; empty where no font has any of its characters.
        head: The headline's font.
        body: The rest, empty if there is none.
        rest: The font of the body.
        label: The brand's id, for people.
        label_font: Its font.
        lost: Characters that no font has.
    """

    headline: str
    head: str
    body: str
    rest: str
    label: str
    label_font: str
    lost: int


def make_copy(prompt: str, brand_id: str, *, head: str, rest: str) -> Copy:
    """Make the words of a card.

    Args:
        prompt: What the card says.
        brand_id: Whose it is.
        head: The font that headlines should have.
        rest: The font that the rest should have.
    """
    headline, body = split_copy(cleaned(prompt))
    head, headline, lost = choose_family(headline, (head, rest))
    rest, body, lost_too = choose_family(body, (rest, head))
    words = cleaned(brand_id.replace("-", " ").replace("_", " ")).upper()
    label_font, label, _ = choose_family(words[:MOST_LABEL].strip(), (rest,))
    return Copy(
        headline=headline,
        head=head,
        body=body,
        rest=rest,
        label=label,
        label_font=label_font,
        lost=lost + lost_too,
    )


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """One card that is to be painted.

    Args:
        width: Pixels.
        height: Pixels.
        palette: Its colours.
        copy: Its words.
        dice: What comes by chance.
    """

    width: int
    height: int
    palette: Palette
    copy: Copy
    dice: Dice

    @property
    def unit(self) -> int:
        """Pixels of the shorter side."""
        return min(self.width, self.height)

    @property
    def margin(self) -> int:
        """Pixels from the edge to the text."""
        return max(3, round(self.unit * 0.075))

    @property
    def is_small(self) -> bool:
        """Whether there is place for a headline only."""
        return self.unit < SMALL

    @property
    def is_wide(self) -> bool:
        """Whether the card is clearly wider than high."""
        return self.width > self.height * 1.25

    def set_text(self, box: Box, *, largest: float = 0.13) -> Setting:
        """Set headline and body into a box.

        Args:
            box: Left, top, right, bottom.
            largest: The headline's size at most, as a part of the shorter side.
        """
        left, top, right, bottom = box
        width, height = max(8, right - left), max(8, bottom - top)
        has_body = bool(self.copy.body) and not self.is_small
        smallest = max(LEAST_TEXT, round(self.unit * 0.022))
        head_height = round(height * 0.6) if has_body else height
        headline = None
        if self.copy.headline:
            headline = fit(
                self.copy.headline,
                family=self.copy.head,
                bold=True,
                width=width,
                height=head_height,
                largest=max(smallest, round(self.unit * largest)),
                smallest=smallest,
                leading=0.96 if self.copy.head == "Source Serif Pro" else 0.86,
            )
        used = headline.height if headline else 0
        gap = round(self.unit * 0.03)
        body = None
        if has_body and height - used - gap > smallest * 2:
            body = fit(
                self.copy.body,
                family=self.copy.rest,
                bold=False,
                width=width,
                height=height - used - gap,
                largest=max(smallest, round(self.unit * 0.042)),
                smallest=smallest,
                leading=1.02,
            )
        return Setting(headline=headline, body=body, gap=gap if headline and body else 0)

    def set_label(self, width: int, *, size: float = 0.028) -> Block | None:
        """Set the brand's label in one line; None where there is no place for it."""
        if self.is_small or not self.copy.label:
            return None
        pixels = max(8, round(self.unit * size))
        block = fit(
            self.copy.label,
            family=self.copy.label_font,
            bold=True,
            width=width,
            height=pixels * 2,
            largest=pixels,
            smallest=max(6, pixels // 2),
        )
        return block if len(block.lines) == 1 else None


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Headline and body as they are set, one below the other.

    Args:
        headline: None where there is none.
        body: Likewise.
        gap: Pixels between them.
    """

    headline: Block | None
    body: Block | None
    gap: int

    @property
    def height(self) -> int:
        """Pixels in all."""
        return sum(block.height for block in self.blocks) + self.gap

    @property
    def width(self) -> int:
        """Pixels of the longest line."""
        return max((block.width for block in self.blocks), default=0)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What there is, from the top."""
        return tuple(block for block in (self.headline, self.body) if block)

    def write(
        self,
        draw: ImageDraw.ImageDraw,
        *,
        x: int,
        y: int,
        ink: Color,
        body_ink: Color | None = None,
        centered_in: int = 0,
    ) -> None:
        """Draw it.

        Args:
            draw: Where to.
            x: Pixels from the left.
            y: Pixels from the top.
            ink: The headline's colour.
            body_ink: The body's, None for the same.
            centered_in: Pixels of the box that lines are centred in; 0 for flush left.
        """
        if self.headline:
            write(draw, self.headline, x=x, y=y, ink=ink, centered_in=centered_in)
            y += self.headline.height + self.gap
        if self.body:
            write(draw, self.body, x=x, y=y, ink=body_ink or ink, centered_in=centered_in)
