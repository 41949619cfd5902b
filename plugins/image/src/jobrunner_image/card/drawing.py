"""One card from its order: the palette, the text, the style that paints it, and what could not be done.

Blocking and heavy on the processor: called in a drawing thread. Touches no file but the bundled fonts.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from PIL import Image

from jobrunner_image.card import abstract, cartoon, minimalist, realistic
from jobrunner_image.card.colors import make_palette
from jobrunner_image.card.sheet import Sheet, make_copy
from jobrunner_image.engine import Drawn, Order

STYLES: dict[str, Callable[[Sheet], Image.Image]] = {
    "realistic": realistic.paint,
    "cartoon": cartoon.paint,
    "abstract": abstract.paint,
    "minimalist": minimalist.paint,
}

FAMILIES = {
    "realistic": ("Manrope", "Manrope"),
    "cartoon": ("Fredoka One", "Manrope"),
    "abstract": ("Manrope", "Manrope"),
    "minimalist": ("Source Serif Pro", "Manrope"),
}
"""Style -> its own fonts for headlines and for the rest."""


def draw_card(order: Order) -> Drawn:
    """Draw a card.

    Args:
        order: What is wanted.

    Returns:
        The card in the wanted size, the same pixels for the same order; with a note where characters are left out.
    """
    head, rest = FAMILIES[order.style]
    head = order.fonts[0] if order.fonts else head
    rest = order.fonts[1] if len(order.fonts) > 1 else rest
    copy = make_copy(order.prompt, order.brand_id, head=head, rest=rest)
    sheet = Sheet(
        width=order.width,
        height=order.height,
        palette=make_palette(order.colors, order.brand_id),
        copy=copy,
        dice=random.Random(order.seed),  # noqa: S311 - where a circle stands is no secret
    )
    notes = (f"{copy.lost} characters that no bundled font has were left out",) if copy.lost else ()
    return Drawn(STYLES[order.style](sheet), notes)
