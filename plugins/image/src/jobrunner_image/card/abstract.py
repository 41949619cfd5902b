"""The style `abstract`: colours that run into each other, large translucent shapes, and fine lines over them.

The text stands on a panel of its own.
"""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFilter

from jobrunner_image.card.canvas import art_size, disc, finished, grained, mesh
from jobrunner_image.card.colors import BLACK, WHITE, mix, readable
from jobrunner_image.card.sheet import Sheet
from jobrunner_image.card.typesetting import write

SHAPES = 6
LINES = 16


def paint(sheet: Sheet) -> Image.Image:
    """Paint the card."""
    picture = finished(_shapes(sheet, art_size(sheet.width, sheet.height)), sheet.width, sheet.height)
    margin, palette = sheet.margin, sheet.palette
    pad = round(sheet.unit * 0.06)
    label = sheet.set_label(sheet.width // 2)
    label_height = label.height + pad // 2 if label is not None else 0
    right = round(sheet.width * 0.66) if sheet.is_wide else sheet.width - margin - pad
    box = (margin + pad, margin + pad, right, sheet.height - margin - pad - label_height)
    text = sheet.set_text(box, largest=0.115)
    inner = max(text.width, label.width if label is not None else 0)
    height = text.height + 2 * pad + label_height
    top = sheet.height - margin - height
    panel = (margin, top, margin + inner + 2 * pad, top + height)
    ground = mix(palette.dark, BLACK, 0.25)
    _panel(picture, panel, sheet)
    draw = ImageDraw.Draw(picture)
    if label is not None:
        write(draw, label, x=margin + pad, y=top + pad, ink=readable(palette.secondary, ground))
    text.write(
        draw,
        x=margin + pad,
        y=top + pad + label_height,
        ink=WHITE,
        body_ink=readable(mix(palette.light, ground, 0.15), ground),
    )
    return picture


def _panel(picture: Image.Image, box: tuple[int, int, int, int], sheet: Sheet) -> None:
    """A dark panel with round corners and a stripe of colour; nearly opaque, so the text's ground is known."""
    radius = round(sheet.unit * 0.035)
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius=radius, fill=240)
    picture.paste(mix(sheet.palette.dark, BLACK, 0.25), (0, 0), mask)
    stripe = max(2, round(sheet.unit * 0.009))
    left, top, _, bottom = box
    ImageDraw.Draw(picture).rectangle(
        (left, top + radius, left + stripe, bottom - radius), fill=sheet.palette.accent
    )


def _shapes(sheet: Sheet, size: tuple[int, int]) -> Image.Image:
    width, height = size
    palette, dice = sheet.palette, sheet.dice
    art = mesh(size, palette.colors, dice)
    reach = min(size)
    for number in range(SHAPES):
        radius = reach * dice.uniform(0.18, 0.5)
        x, y = width * dice.uniform(0.2, 1.05), height * dice.uniform(-0.05, 0.75)
        box = (x - radius, y - radius, x + radius, y + radius)
        color = palette.colors[number % len(palette.colors)]
        tone = mix(color, WHITE if number % 2 else palette.dark, dice.uniform(0.1, 0.4))
        blur = reach * dice.choice((0.0, 0.0, 0.03))
        art.paste(tone, (0, 0), disc(size, box, alpha=dice.uniform(0.35, 0.75), blur=blur))
        _ring(art, x=x, y=y, radius=radius * dice.uniform(0.6, 1.15), sheet=sheet)
    _lines(art, sheet)
    return grained(art, dice, strength=0.16)


def _ring(art: Image.Image, *, x: float, y: float, radius: float, sheet: Sheet) -> None:
    mask = Image.new("L", art.size, 0)
    line = max(2, round(min(art.size) * sheet.dice.choice((0.003, 0.006, 0.02))))
    start = sheet.dice.uniform(0, 360)
    ImageDraw.Draw(mask).arc(
        (x - radius, y - radius, x + radius, y + radius),
        start,
        start + sheet.dice.uniform(120, 320),
        fill=190,
        width=line,
    )
    art.paste(mix(sheet.palette.light, WHITE, 0.5), (0, 0), mask)


def _lines(art: Image.Image, sheet: Sheet) -> None:
    """Lines that swing together across the card, as on a map of heights."""
    width, height = art.size
    dice = sheet.dice
    mask = Image.new("L", art.size, 0)
    draw = ImageDraw.Draw(mask)
    often, phase, swing = dice.uniform(0.7, 1.5), dice.uniform(0, math.tau), dice.uniform(0.08, 0.16)
    line = max(2, round(min(art.size) * 0.0022))
    for number in range(LINES):
        points = []
        for step in range(161):
            x = step / 160
            wave = math.sin(math.tau * often * x + phase + number * 0.11)
            points.append((x * width, height * (0.12 + number * 0.022 + swing * wave + 0.18 * x)))
        draw.line(points, fill=110, width=line, joint="curve")
    art.paste(WHITE, (0, 0), mask.filter(ImageFilter.GaussianBlur(line * 0.2)))
