"""The style `realistic`: a landscape at dusk, hazy ridges below a low sun, with depth and film grain.

The text stands in the foreground, on ground that is dark enough for it.
"""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

from jobrunner_image.card.canvas import (
    art_size,
    darken_until_readable,
    finished,
    glow,
    gradient,
    grained,
    shaded,
)
from jobrunner_image.card.colors import BLACK, WHITE, Color, mix, readable, turned
from jobrunner_image.card.sheet import Sheet
from jobrunner_image.card.typesetting import write

RIDGES = 5


def paint(sheet: Sheet) -> Image.Image:
    """Paint the card."""
    margin, palette = sheet.margin, sheet.palette
    ink = mix(palette.light, WHITE, 0.6)
    top = round(sheet.height * (0.36 if sheet.copy.body else 0.42))
    text = sheet.set_text((margin, top, sheet.width - margin, sheet.height - margin), largest=0.115)
    y = sheet.height - margin - text.height
    horizon = min(0.56, max(0.36, y / sheet.height - 0.02))
    art = _landscape(sheet, art_size(sheet.width, sheet.height), horizon)
    picture = finished(art, sheet.width, sheet.height)
    darken_until_readable(picture, (margin, y, margin + text.width, sheet.height - margin), ink, below=True)
    draw = ImageDraw.Draw(picture)
    text.write(draw, x=margin, y=y, ink=ink)
    label = sheet.set_label(sheet.width - 3 * margin)
    if label is not None:
        bar = max(2, round(sheet.unit * 0.007))
        box = (margin, margin, margin + bar * 4 + label.width, margin + label.height)
        darken_until_readable(picture, box, ink, below=False)
        draw.rectangle((margin, margin, margin + bar, margin + label.height), fill=palette.accent)
        write(draw, label, x=margin + bar * 4, y=margin, ink=ink)
    return picture


def _landscape(sheet: Sheet, size: tuple[int, int], skyline: float) -> Image.Image:
    width, height = size
    palette, dice = sheet.palette, sheet.dice
    haze = mix(turned(palette.secondary, 0, lighter=0.2), (255, 214, 170), 0.45)
    zenith = mix(palette.primary, palette.dark, 0.55)
    horizon = round(height * skyline)
    art = Image.new("RGB", size, zenith)
    middle = mix(palette.primary, haze, 0.45)
    upper = round(horizon * 0.55)
    art.paste(gradient((width, upper), zenith, middle), (0, 0))
    art.paste(gradient((width, horizon - upper + height // 8), middle, haze), (0, upper))
    sun_x, sun_y = width * dice.uniform(0.58, 0.8), horizon * dice.uniform(0.62, 0.8)
    reach = math.hypot(width, height)
    glow(art, x=sun_x, y=sun_y, radius=reach * 0.55, color=haze, strength=0.8)
    glow(art, x=sun_x, y=sun_y, radius=reach * 0.2, color=(255, 238, 214), strength=0.9)
    disc = min(size) * 0.055
    draw = ImageDraw.Draw(art)
    draw.ellipse((sun_x - disc, sun_y - disc, sun_x + disc, sun_y + disc), fill=(255, 247, 232))
    ground = mix(palette.primary, BLACK, 0.86)
    for number in range(RIDGES):
        share = number / (RIDGES - 1)
        tone = mix(mix(haze, palette.primary, 0.35), ground, share**0.75)
        base = horizon + (height - horizon) * (share * 0.78) - height * 0.03
        _ridge(
            art, sheet, base=base, swing=height * (0.05 + 0.055 * share), tone=tone, haze=haze, share=share
        )
    art = _with_bokeh(art, sheet, haze)
    return grained(shaded(art, strength=0.5), dice, strength=0.14)


def _ridge(
    art: Image.Image, sheet: Sheet, *, base: float, swing: float, tone: Color, haze: Color, share: float
) -> None:
    """One ridge from side to side, softer the farther it is, with haze rising from the valley before it."""
    width, height = art.size
    waves = [
        (sheet.dice.uniform(0.6, 1.6) * 2**octave, sheet.dice.uniform(0, math.tau), 0.55**octave)
        for octave in range(6)
    ]
    points: list[tuple[float, float]] = []
    for step in range(241):
        x = step / 240
        rise = sum(depth * math.sin(math.tau * often * x + phase) for often, phase, depth in waves)
        points.append((x * width, base - swing * rise))
    mask = Image.new("L", art.size, 0)
    ImageDraw.Draw(mask).polygon([*points, (width, height), (0, height)], fill=255)
    blur = (1 - share) * min(art.size) / 260
    layer = gradient(art.size, tone, mix(tone, haze, 0.3 * (1 - share)))
    art.paste(layer, (0, 0), mask.filter(ImageFilter.GaussianBlur(blur)) if blur > 0.5 else mask)


def _with_bokeh(art: Image.Image, sheet: Sheet, haze: Color) -> Image.Image:
    """Lights out of focus in the foreground, as a lens shows them."""
    width, height = art.size
    dice = sheet.dice
    light = Image.new("L", art.size, 0)
    draw = ImageDraw.Draw(light)
    for _ in range(22):
        radius = min(art.size) * dice.uniform(0.008, 0.035)
        x, y = width * dice.random(), height * dice.uniform(0.5, 1.0)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dice.randint(18, 64))
    art.paste(readable(haze, BLACK), (0, 0), light.filter(ImageFilter.GaussianBlur(min(art.size) / 500)))
    return art
