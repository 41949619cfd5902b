"""Opens a picture that came from outside, without trusting it.

Looks at the size that the header names before a pixel is decoded, and at three formats only. Never opens a path.
"""

from __future__ import annotations

import io
import warnings

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP")
MOST_DECODED = 4096 * 4096
"""Pixels that a picture from outside may have: 64 MB as RGBA."""


class UnusableImageError(Exception):
    """What an engine was given is no picture that can be used; the text says why."""


def decode(content: bytes) -> Image.Image:
    """Decode a PNG, JPEG or WebP to RGB.

    Args:
        content: The file.

    Returns:
        The picture, loaded, without transparency and without whatever else the file held.

    Raises:
        UnusableImageError: It is none of these, is broken, or has more than 16,777,216 pixels.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of sizes that are refused below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
                if opened.width * opened.height > MOST_DECODED:
                    raise UnusableImageError(
                        f"it has {opened.width} x {opened.height} pixels, which is too many"
                    )
                opened.load()
                return _opaque(opened)
    except Image.DecompressionBombError:
        raise UnusableImageError("it names a size that is too large to be real") from None
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnusableImageError(f"it cannot be read as PNG, JPEG or WebP: {type(error).__name__}") from None


def _opaque(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    page = Image.new("RGBA", image.size, "white")
    page.alpha_composite(image.convert("RGBA"))
    return page.convert("RGB")
