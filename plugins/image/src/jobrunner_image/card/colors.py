"""Colours: reading them, mixing them, and telling whether text can be read on them.

Source for luminance and contrast: WCAG 2.2, "relative luminance" and "contrast ratio". Pure; draws nothing.
"""

from __future__ import annotations

import colorsys
import hashlib

import msgspec

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)

LEAST_CONTRAST = 4.5
"""What WCAG's level AA asks of text of any size."""


def parse_color(text: str) -> Color:
    """Return the colour of `#rgb` or `#rrggbb`."""
    digits = text.strip().lstrip("#")
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def luminance(color: Color) -> float:
    """Return the relative luminance, 0 for black to 1 for white."""
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
        for part in color
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def mix(one: Color, other: Color, share: float) -> Color:
    """Return what lies between two colours: `one` at share 0, `other` at 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def readable(wanted: Color, background: Color, *, least: float = LEAST_CONTRAST) -> Color:
    """Return the colour nearest to `wanted` that can be read on a background, moved towards white or black."""
    end = WHITE if contrast(WHITE, background) >= contrast(BLACK, background) else BLACK
    for step in range(21):
        color = mix(wanted, end, step / 20)
        if contrast(color, background) >= least:
            return color
    return end


def turned(color: Color, degrees: float, *, lighter: float = 0.0) -> Color:
    """Return a colour with its hue turned, and its lightness moved by -1 to 1."""
    hue, light, strength = colorsys.rgb_to_hls(*(part / 255 for part in color))
    light = min(0.92, max(0.08, light + lighter))
    parts = colorsys.hls_to_rgb((hue + degrees / 360) % 1, light, strength)
    red, green, blue = (round(part * 255) for part in parts)
    return red, green, blue


class Palette(msgspec.Struct, frozen=True, kw_only=True):
    """The colours of one card.

    Args:
        colors: The brand's in their order, filled up to 4 at least.
        dark: Nearly black, of the first colour's tone.
        light: Nearly white, likewise.
    """

    colors: tuple[Color, ...]
    dark: Color
    light: Color

    @property
    def primary(self) -> Color:
        """The first colour."""
        return self.colors[0]

    @property
    def secondary(self) -> Color:
        """The second."""
        return self.colors[1]

    @property
    def accent(self) -> Color:
        """The third."""
        return self.colors[2]


def make_palette(colors: tuple[str, ...], brand_id: str) -> Palette:
    """Return the palette of a brand; without colours one that its id always gives."""
    given = list(dict.fromkeys(parse_color(color) for color in colors)) or [_of_brand(brand_id)]
    # A card of white and black alone still needs a tone to draw with: those come last.
    given.sort(key=_is_tone, reverse=True)
    first = given[0]
    derived = (
        turned(first, 28, lighter=0.12),
        turned(first, 190, lighter=0.08),
        turned(first, -35, lighter=-0.12),
        turned(first, 10, lighter=0.25),
        # A grey has no hue to turn, so that some of these are one: then steps to the far end of light.
        *(mix(first, BLACK if luminance(first) > 0.5 else WHITE, step / 4) for step in (1, 2, 3)),
    )
    more = [color for color in dict.fromkeys(derived) if color not in given]
    given += more[: max(0, 4 - len(given))]
    return Palette(colors=tuple(given), dark=mix(first, BLACK, 0.82), light=mix(first, WHITE, 0.93))


def _is_tone(color: Color) -> bool:
    return 0.02 < luminance(color) < 0.85


def _of_brand(brand_id: str) -> Color:
    digest = hashlib.sha256(brand_id.encode("utf-8", "surrogatepass")).digest()
    parts = colorsys.hls_to_rgb(digest[0] / 256, 0.42 + digest[1] / 256 * 0.1, 0.55 + digest[2] / 256 * 0.25)
    red, green, blue = (round(part * 255) for part in parts)
    return red, green, blue
