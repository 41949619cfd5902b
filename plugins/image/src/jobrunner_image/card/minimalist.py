"""The style `minimalist`: one shape, much white, dark type. Shape and text never overlap."""

from __future__ import annotations

from PIL import Image, ImageDraw

from jobrunner_image.card.canvas import art_size, finished
from jobrunner_image.card.colors import mix, readable
from jobrunner_image.card.sheet import Sheet
from jobrunner_image.card.typesetting import write

TEXT_SHARE = 0.56
"""How much of the longer side the text has; the shape has the rest."""


def paint(sheet: Sheet) -> Image.Image:
    """Paint the card."""
    size = art_size(sheet.width, sheet.height)
    picture = finished(_shape(sheet, size), sheet.width, sheet.height)
    margin, palette = sheet.margin, sheet.palette
    draw = ImageDraw.Draw(picture)
    label = sheet.set_label(sheet.width - 2 * margin, size=0.024)
    label_height = label.height + margin if label is not None else 0
    if sheet.is_wide:
        box = (margin, margin, round(sheet.width * TEXT_SHARE), sheet.height - margin - label_height)
    else:
        top = round(sheet.height * (1 - TEXT_SHARE))
        box = (margin, top, sheet.width - margin, sheet.height - margin - label_height)
    rule = max(2, round(sheet.unit * 0.006))
    room = rule + round(sheet.unit * 0.04)
    text = sheet.set_text((box[0], box[1] + room, box[2], box[3]), largest=0.105)
    used = text.height + room
    y = box[1] + max(0, (box[3] - box[1] - used) // 2) if sheet.is_wide else box[3] - used
    draw.rectangle((margin, y, margin + round(sheet.unit * 0.11), y + rule), fill=palette.accent)
    ground = palette.light
    text.write(
        draw,
        x=margin,
        y=y + room,
        ink=readable(palette.dark, ground, least=7.0),
        body_ink=readable(mix(palette.dark, ground, 0.35), ground),
    )
    if label is not None:
        ink = readable(mix(palette.dark, ground, 0.4), ground)
        write(draw, label, x=margin, y=sheet.height - margin - label.height, ink=ink)
    return picture


def _shape(sheet: Sheet, size: tuple[int, int]) -> Image.Image:
    """A disc that leaves the card at a corner, and a small one at its edge."""
    width, height = size
    palette, dice = sheet.palette, sheet.dice
    art = Image.new("RGB", size, palette.light)
    draw = ImageDraw.Draw(art)
    if sheet.is_wide:
        radius = min(height * 0.46, width * (1 - TEXT_SHARE) * 0.9)
        x, y = width - radius * dice.uniform(0.72, 0.92), height * dice.uniform(0.36, 0.6)
        small = (x - radius * 0.74, y + radius * 0.74)
    else:
        radius = min(width * 0.42, height * (1 - TEXT_SHARE) * 0.62)
        x, y = width - radius * dice.uniform(0.85, 1.05), radius * dice.uniform(0.75, 0.95)
        small = (x - radius * 0.78, y + radius * 0.62)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=palette.primary)
    tiny = radius * 0.2
    draw.ellipse((small[0] - tiny, small[1] - tiny, small[0] + tiny, small[1] + tiny), fill=palette.secondary)
    return art
