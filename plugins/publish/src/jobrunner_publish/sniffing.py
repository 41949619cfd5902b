"""What a file is by its own first bytes, for the images and videos that platforms take.

Knows a short list and nothing else: no playlist, no document, no vector graphic, since those can name further
addresses. Never decodes a file.
"""

from __future__ import annotations

QUICKTIME = b"qt  "


def content_type_of(content: bytes) -> str | None:
    """Return the content type, or None for what is not on the list.

    Args:
        content: The file, or at least its first 16 bytes.
    """
    for start, content_type in (
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\x1aE\xdf\xa3", "video/webm"),
    ):
        if content.startswith(start):
            return content_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:8] == b"ftyp":
        return _of_brand(content[8:12])
    return None


def _of_brand(brand: bytes) -> str | None:
    """The content type of an ISO media file by its brand; pictures in that container are not on the list."""
    if brand == QUICKTIME:
        return "video/quicktime"
    if brand[:3] in (b"iso", b"mp4", b"avc", b"M4V", b"dby", b"MSN") or brand in (b"3gp4", b"3gp5", b"3gp6"):
        return "video/mp4"
    return None
