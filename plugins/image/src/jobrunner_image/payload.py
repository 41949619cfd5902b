"""The payload of `image.generate`: what a picture shows, in which style, size, colours and fonts.

Says what is valid at enqueue. Never opens a font: a producer need not have the renderer.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

LEAST_SIDE = 64
MOST_SIDE = 4096
MOST_PIXELS = 8_388_608
"""4096 x 2048: a card of that size takes about 160 MB while it is drawn."""

FONTS = ("Fredoka One", "Manrope", "Source Serif Pro")
"""The fonts that come with the plugin. Names only: a path from a payload would open any file of the worker's."""

Style = Literal["realistic", "cartoon", "abstract", "minimalist"]
Id = Annotated[str, Meta(min_length=1, max_length=200)]
# `$` alone lets a line break at the end through.
Color = Annotated[
    str,
    Meta(pattern=r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$(?!\n)", description="a colour such as #0f766e or #fff"),
]
Font = Annotated[str, Meta(max_length=64, extra_json_schema={"enum": list(FONTS)})]
Side = Annotated[int, Meta(ge=LEAST_SIDE, le=MOST_SIDE)]


class Dimensions(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The size of a picture.

    Args:
        width: Pixels, 64 to 4096.
        height: Pixels, 64 to 4096.

    Raises:
        ValueError: There are more than 8,388,608 pixels in all.
    """

    width: Side
    height: Side

    def __post_init__(self) -> None:
        if self.width * self.height > MOST_PIXELS:
            raise ValueError(
                f"width x height is at most {MOST_PIXELS} pixels, not {self.width} x {self.height}"
            )


class ImageGenerate(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Draw one picture.

    Args:
        tenant_id: Whose picture it is.
        post_id: The post that it is for, in the producer's system; None for none.
        brand_id: The brand that it is drawn for.
        prompt: What it shows, 1 to 4,000 characters. The renderer `card` sets it as the card's text.
        style: How it looks.
        dimensions: Its size.
        brand_colors: Up to 8 colours, `#rgb` or `#rrggbb`, the most important first; None for colours made
            from the brand's id.
        brand_fonts: Up to 4 names of bundled fonts: the first sets headlines, the second the rest; None for
            the style's own.

    Raises:
        ValueError: The prompt is blank, or a font is none of the bundled ones.
    """

    tenant_id: Annotated[str, Meta(min_length=1, max_length=128)]
    post_id: Id | None = None
    brand_id: Id
    prompt: Annotated[str, Meta(min_length=1, max_length=4000)]
    style: Style
    dimensions: Dimensions
    brand_colors: Annotated[tuple[Color, ...], Meta(max_length=8)] | None = None
    brand_fonts: Annotated[tuple[Font, ...], Meta(max_length=4)] | None = None

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise ValueError("prompt is blank: say what the picture shows")
        for name in self.brand_fonts or ():
            if name not in FONTS:
                raise ValueError(
                    f"brandFonts names {name!r}, which is not bundled: choose from {', '.join(FONTS)}"
                )
