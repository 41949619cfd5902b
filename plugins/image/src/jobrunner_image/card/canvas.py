"""What all styles draw with: gradients, glows, grain, and the size that shapes are drawn in.

Shapes are drawn larger than the card where that fits, and scaled down, so that their edges are smooth. Knows no
style. What comes by chance comes from dice that are given.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from jobrunner_image.card.colors import BLACK, LEAST_CONTRAST, WHITE, Color, contrast, luminance, mix

Dice = random.Random
Box = tuple[int, int, int, int]

MOST_ART = 6_000_000
"""Pixels that shapes are drawn in at most: 18 MB, and a mask beside it."""

MOST_FACTOR = 2.0
GRAIN = 256
LOOK = 48
"""Cells a side in which the ground under a text is looked at."""


def art_size(width: int, height: int) -> tuple[int, int]:
    """Return the size in which the shapes of a card are drawn."""
    factor = min(MOST_FACTOR, math.sqrt(MOST_ART / (width * height)))
    return max(1, round(width * factor)), max(1, round(height * factor))


def finished(art: Image.Image, width: int, height: int) -> Image.Image:
    """Scale what was drawn to the card's size."""
    return art if art.size == (width, height) else art.resize((width, height), Image.Resampling.LANCZOS)


def gradient(size: tuple[int, int], start: Color, end: Color, *, degrees: float = 0.0) -> Image.Image:
    """Return a linear gradient: from the top down at 0 degrees, turned counter-clockwise."""
    ramp = Image.linear_gradient("L")
    if degrees:
        # The middle of a turned square: its corners, which turning leaves black, are cut away.
        turned = ramp.resize((384, 384), Image.Resampling.BICUBIC).rotate(degrees, Image.Resampling.BICUBIC)
        inner = turned.crop((64, 64, 320, 320))
        low, high = inner.getextrema()
        assert isinstance(low, (int, float))
        assert isinstance(high, (int, float))
        ramp = inner.point(
            [round((v - low) / max(1, high - low) * 255) if v >= low else 0 for v in range(256)]
        )
    tinted = ImageOps.colorize(ramp, start, end)
    return tinted.resize(size, Image.Resampling.BICUBIC)


def mesh(size: tuple[int, int], colors: Sequence[Color], dice: Dice) -> Image.Image:
    """Return colours that run into each other all over the place."""
    small = Image.new("RGB", (5, 5))
    for place in range(25):
        small.putpixel((place % 5, place // 5), colors[(place + dice.randrange(2)) % len(colors)])
    # Blurred while it is small, where it costs nothing: otherwise the cells show as stripes.
    soft = small.resize((120, 120), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(14))
    return soft.rotate(dice.uniform(20, 70)).crop((26, 26, 94, 94)).resize(size, Image.Resampling.BICUBIC)


def glow(art: Image.Image, *, x: float, y: float, radius: float, color: Color, strength: float) -> None:
    """Let light of a colour fall on a picture, fading out at the radius; strength is 0 to 1."""
    side = max(2, round(radius * 2))
    fade = ImageOps.invert(Image.radial_gradient("L"))
    # The ramp reaches its end at the corners; past the circle within there is no light.
    fade = fade.point([round(max(0.0, (v - 75) / 180) ** 1.6 * 255 * strength) for v in range(256)])
    mask = fade.resize((side, side), Image.Resampling.BICUBIC)
    art.paste(color, (round(x - side / 2), round(y - side / 2)), mask)


def disc(size: tuple[int, int], box: Sequence[float], *, alpha: float, blur: float = 0.0) -> Image.Image:
    """Return a mask of an ellipse."""
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).ellipse(list(box), fill=round(255 * alpha))
    return mask.filter(ImageFilter.GaussianBlur(blur)) if blur else mask


def grained(art: Image.Image, dice: Dice, *, strength: float) -> Image.Image:
    """Return a picture with film grain; it also hides the steps of a gradient."""
    tile = Image.frombytes("L", (GRAIN, GRAIN), dice.randbytes(GRAIN * GRAIN))
    tile = tile.filter(ImageFilter.GaussianBlur(0.6))
    sheet = Image.new("L", art.size)
    for x in range(0, art.width, GRAIN):
        for y in range(0, art.height, GRAIN):
            sheet.paste(tile, (x, y))
    noise = Image.merge("RGB", (sheet, sheet, sheet))
    return Image.blend(art, ImageChops.soft_light(art, noise), strength)


def shaded(art: Image.Image, *, strength: float) -> Image.Image:
    """Return a picture whose corners are darker."""
    fade = Image.radial_gradient("L").point(
        [round(max(0, v - 110) / 145 * 255 * strength) for v in range(256)]
    )
    shade = fade.resize(art.size, Image.Resampling.BICUBIC)
    art.paste(BLACK, (0, 0), shade)
    return art


def darken_until_readable(picture: Image.Image, box: Box, ink: Color, *, below: bool) -> None:
    """Darken the side of a picture that a light text stands on, just so far that it can be read.

    Args:
        picture: The card, in its own size.
        box: Where the text is.
        ink: The text's colour, a light one.
        below: Whether the text stands at the bottom, so that the picture gets darker downwards; else upwards.
    """
    ground = picture.crop(box).resize((LOOK, LOOK), Image.Resampling.BOX)
    # The lightest place, and a margin for what one cell averages away.
    brightest = mix(max((_color(ground, place) for place in range(LOOK * LOOK)), key=luminance), WHITE, 0.08)
    strength = next(
        (
            step / 40
            for step in range(40)
            if contrast(mix(brightest, BLACK, step / 40), ink) >= LEAST_CONTRAST
        ),
        1.0,
    )
    if not strength:
        return
    _, top, _, bottom = box
    reach = max(4, picture.height // 6)
    fade = Image.linear_gradient("L").resize((1, reach), Image.Resampling.BICUBIC)
    column = Image.new("L", (1, picture.height), 0)
    if below:
        column.paste(255, (0, top, 1, picture.height))
        column.paste(fade, (0, top - reach))
    else:
        column.paste(255, (0, 0, 1, bottom))
        column.paste(ImageOps.flip(fade), (0, bottom))
    mask = column.point([round(value * strength) for value in range(256)]).resize(picture.size)
    picture.paste(BLACK, (0, 0), mask)


def _color(image: Image.Image, place: int) -> Color:
    color = image.getpixel((place % image.width, place // image.width))
    assert isinstance(color, tuple)
    return int(color[0]), int(color[1]), int(color[2])
