"""Pictures made from nothing but a URL: the same URL, the same bytes.

Encodes a plain coloured JPEG or PNG by hand, so that no image library is needed. Never opens a URL.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from urllib.parse import urlsplit

import msgspec

SIDE = 640
"""Pixels: the width and height, within what every platform accepts (Instagram wants 320 to 1,440)."""

JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's segment that tells its size."""


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a picture and what they are.

    Args:
        content: The encoded picture.
        content_type: `image/jpeg` or `image/png`.
    """

    content: bytes
    content_type: str


def picture(url: str) -> Picture:
    """Make the picture that stands in for what a URL would serve.

    Args:
        url: Any URL; a path that ends in `.png` gives a PNG, everything else a JPEG.

    Returns:
        A valid picture of 640 by 640 pixels in one colour, the same for the same URL.
    """
    digest = hashlib.sha256(url.encode()).digest()
    if urlsplit(url).path.lower().endswith(".png"):
        return Picture(content=flat_png(digest, SIDE, SIDE), content_type="image/png")
    return Picture(content=_jpeg(digest), content_type="image/jpeg")


def fingerprint(content: bytes) -> str:
    """Return the name that the ledger gives to uploaded bytes: `sha256:` and 16 hex digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def recognise(content: bytes) -> str | None:
    """Return the content type of a JPEG, PNG, GIF or WebP by its first bytes, or None for anything else."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return the width and height of a JPEG or PNG in pixels, or None for anything else."""
    kind = recognise(content)
    if kind == "image/png" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    at = 2
    while kind == "image/jpeg" and at + 9 <= len(content):
        marker, length = struct.unpack(">xBH", content[at : at + 4])
        if marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def flat_png(digest: bytes, width: int, height: int) -> bytes:
    """Encode a PNG in one colour.

    Args:
        digest: The colour in its first three bytes; all of it goes along as a comment.
        width: Pixels.
        height: Pixels.
    """
    row = b"\x00" + digest[:3] * width

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    comment = b"Comment\x00" + digest.hex().encode()
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            chunk(b"tEXt", comment),
            chunk(b"IDAT", zlib.compress(row * height, 9)),
            chunk(b"IEND", b""),
        )
    )


def _jpeg(digest: bytes) -> bytes:
    def segment(marker: int, body: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    # Baseline, three components without subsampling, all with table 0. In one colour a block is its DC value
    # alone, and with a step of 8 that value is the sample minus 128, so no transform is needed.
    quantisation = b"\x00" + bytes([8]) * 64
    frame = struct.pack(">BHHB", 8, SIDE, SIDE, 3) + b"".join(bytes([n, 0x11, 0]) for n in (1, 2, 3))
    # Sizes 0 to 8 of a DC difference get the nine 4-bit codes 0000 to 1000; the only AC code, 0, ends a block.
    dc_codes = b"\x00" + bytes([0, 0, 0, 9]) + bytes(12) + bytes(range(9))
    ac_codes = b"\x10" + bytes([1]) + bytes(15) + b"\x00"
    scan = b"\x03" + b"".join(bytes([n, 0x00]) for n in (1, 2, 3)) + bytes([0, 63, 0])
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
            segment(0xFE, digest.hex().encode()),
            segment(0xDB, quantisation),
            segment(0xC0, frame),
            segment(0xC4, dc_codes),
            segment(0xC4, ac_codes),
            segment(0xDA, scan),
            _entropy_coded(digest),
            b"\xff\xd9",
        )
    )


def _entropy_coded(digest: bytes) -> bytes:
    # A quarter of the range is left out at both ends, so every colour can be told from black and white.
    levels = [byte // 2 - 64 for byte in digest[:3]]
    bits = ""
    for level in levels:
        size = abs(level).bit_length()
        # A negative difference is written as its ones' complement.
        value = level if level > 0 else level + (1 << size) - 1
        bits += f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0"
    blocks = (SIDE // 8) ** 2
    # All further blocks differ by nothing: four bits for size 0 and one for the end, thrice.
    bits += "0" * 15 * (blocks - 1)
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return packed.replace(b"\xff", b"\xff\x00")
