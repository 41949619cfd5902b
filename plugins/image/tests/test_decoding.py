"""Pictures from outside: what is hostile, broken or huge is refused before it costs anything."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jobrunner_image import UnusableImageError
from jobrunner_image.decoding import decode


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_three_formats_are_read(kind: str) -> None:
    """What image endpoints send."""
    image = decode(encoded(Image.new("RGB", (40, 30), "#3366cc"), kind))

    assert (image.size, image.mode) == ((40, 30), "RGB")


def test_transparency_becomes_white() -> None:
    """A post's picture has no transparent places; black ones would be a surprise."""
    assert decode(encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0)), "PNG")).getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("size", [(4097, 4096), (12_000, 12_000), (100_000, 100_000)])
def test_size_is_judged_before_a_pixel_is_decoded(size: tuple[int, int]) -> None:
    """A file of 60 bytes must not take gigabytes of memory."""
    with pytest.raises(UnusableImageError, match=r"pixels|too large"):
        decode(bomb(*size))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"%PDF-1.7",
        encoded(Image.new("RGB", (4, 4)), "GIF"),
        encoded(Image.new("RGB", (4, 4)), "TIFF"),
        encoded(Image.new("RGB", (64, 64)), "PNG")[:60],
        encoded(Image.new("RGB", (64, 64)), "JPEG")[:200],
    ],
)
def test_what_is_no_whole_picture_of_these_formats_is_refused(content: bytes) -> None:
    """Other formats' decoders are more to attack, and EPS even runs a program."""
    with pytest.raises(UnusableImageError):
        decode(content)


@given(st.binary(max_size=300))
def test_noise_is_refused_with_one_error(tail: bytes) -> None:
    """Whatever comes, it is one kind of error, and no crash."""
    with pytest.raises(UnusableImageError):
        decode(b"\x89PNG\r\n\x1a\n" + tail)
