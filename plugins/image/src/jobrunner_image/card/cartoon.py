"""The style `cartoon`: rays, dots, thick outlines and flat colours, with the text in a speech bubble."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from jobrunner_image.card.canvas import art_size, finished
from jobrunner_image.card.colors import BLACK, WHITE, Color, mix, readable
from jobrunner_image.card.sheet import Sheet
from jobrunner_image.card.typesetting import write

RAYS = 28
INK: Color = (24, 20, 32)


def paint(sheet: Sheet) -> Image.Image:
    """Paint the card."""
    size = art_size(sheet.width, sheet.height)
    factor = size[0] / sheet.width
    margin, unit = sheet.margin, sheet.unit
    line = max(2, round(unit * 0.011))
    inset = round(unit * 0.07)
    label = sheet.set_label(sheet.width // 2, size=0.032)
    tail = round(unit * 0.13) if not sheet.is_small else round(unit * 0.08)
    most = (
        margin + inset,
        margin + inset,
        sheet.width - margin - inset,
        sheet.height - margin - inset - tail,
    )
    text = sheet.set_text(most, largest=0.14)
    bubble_width = min(sheet.width - 2 * margin, max(text.width, sheet.width // 2) + 2 * inset)
    bubble_height = min(sheet.height - 2 * margin - tail, max(text.height, sheet.height // 4) + 2 * inset)
    left, top = (sheet.width - bubble_width) // 2, max(margin, (sheet.height - bubble_height - tail) // 2)
    bubble = (left, top, left + bubble_width, top + bubble_height)
    art = _ground(sheet, size)
    _stars(art, sheet, line * factor)
    _bubble(art, [edge * factor for edge in bubble], tail=tail * factor, line=line * factor, sheet=sheet)
    picture = finished(art, sheet.width, sheet.height)
    draw = ImageDraw.Draw(picture)
    text.write(
        draw,
        x=left,
        y=top + (bubble_height - text.height) // 2,
        ink=readable(mix(sheet.palette.primary, INK, 0.75), WHITE, least=7.0),
        body_ink=INK,
        centered_in=bubble_width,
    )
    if label is not None:
        pad = round(unit * 0.018)
        right, bottom = sheet.width - margin, sheet.height - margin // 2
        badge = (right - label.width - 4 * pad, bottom - label.height - 2 * pad, right, bottom)
        ground = sheet.palette.accent
        draw.rounded_rectangle(badge, radius=(badge[3] - badge[1]) // 2, fill=ground, outline=INK, width=line)
        write(draw, label, x=badge[0] + 2 * pad, y=badge[1] + pad, ink=readable(INK, ground))
    return picture


def _ground(sheet: Sheet, size: tuple[int, int]) -> Image.Image:
    """Rays from a low point, and dots that grow towards a corner."""
    width, height = size
    palette = sheet.palette
    art = Image.new("RGB", size, palette.primary)
    draw = ImageDraw.Draw(art)
    ray = mix(palette.primary, WHITE, 0.22)
    x, y = width * 0.5, height * 0.62
    reach = math.hypot(width, height)
    turn = sheet.dice.uniform(0, math.tau / RAYS)
    for number in range(0, RAYS, 2):
        start, end = (turn + math.tau * (number + part) / RAYS for part in (0, 1))
        far = [(x + reach * math.cos(angle), y + reach * math.sin(angle)) for angle in (start, end)]
        draw.polygon([(x, y), *far], fill=ray)
    step = min(size) / 26
    dot = mix(palette.secondary, palette.primary, 0.1)
    columns, rows = int(width / step) + 2, int(height / step) + 2
    for row in range(rows):
        for column in range(columns):
            near = 1 - math.hypot(column / columns - 1, row / rows) / 0.95
            if near <= 0:
                continue
            radius = step * 0.5 * near
            cx, cy = column * step + (row % 2) * step / 2, row * step
            draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=dot)
    return art


def _stars(art: Image.Image, sheet: Sheet, line: float) -> None:
    """Stars and drops about the edges, with the outline that everything here has."""
    draw = ImageDraw.Draw(art)
    width, height = art.size
    dice, palette = sheet.dice, sheet.palette
    fills = (palette.accent, mix(palette.accent, WHITE, 0.5), palette.colors[3], WHITE)
    places = ((0.09, 0.14), (0.9, 0.1), (0.06, 0.62), (0.95, 0.5), (0.2, 0.92), (0.5, 0.05))
    for number, (x, y) in enumerate(places):
        radius = min(art.size) * dice.uniform(0.035, 0.075)
        cx, cy = width * (x + dice.uniform(-0.03, 0.03)), height * (y + dice.uniform(-0.03, 0.03))
        points = _star(cx, cy, radius, spikes=dice.choice((4, 5, 8)), turn=dice.uniform(0, 1))
        draw.polygon(points, fill=fills[number % len(fills)])
        draw.line([*points, points[0], points[1]], fill=INK, width=round(line), joint="curve")


def _star(x: float, y: float, radius: float, *, spikes: int, turn: float) -> list[tuple[float, float]]:
    points = []
    for number in range(spikes * 2):
        far = radius if number % 2 == 0 else radius * 0.48
        angle = turn + math.pi * number / spikes
        points.append((x + far * math.cos(angle), y + far * math.sin(angle)))
    return points


def _bubble(art: Image.Image, box: list[float], *, tail: float, line: float, sheet: Sheet) -> None:
    """A speech bubble with its tail, first as a shadow."""
    draw = ImageDraw.Draw(art)
    left, _, right, bottom = box
    radius = min(right - left, bottom - box[1]) * 0.28
    foot = left + (right - left) * 0.24
    tip = (foot - tail * 0.5, bottom + tail)
    shadow = line * 1.6
    for shift, fill, outline in ((shadow, mix(sheet.palette.primary, BLACK, 0.55), None), (0.0, WHITE, INK)):
        corner = [edge + shift for edge in box]
        points = [(foot, bottom - line), (foot + tail * 0.95, bottom - line), tip]
        moved = [(x + shift, y + shift) for x, y in points]
        draw.rounded_rectangle(corner, radius=radius, fill=fill, outline=outline, width=round(line))
        draw.polygon(moved, fill=fill)
        if outline:
            draw.line([moved[0], moved[2], moved[1]], fill=outline, width=round(line), joint="curve")
            draw.rectangle(
                (
                    foot + line * 0.6,
                    bottom - line * 1.6,
                    foot + tail * 0.95 - line * 0.6,
                    bottom - line * 0.4,
                ),
                fill=fill,
            )
