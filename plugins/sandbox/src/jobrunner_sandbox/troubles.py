"""The media URLs that go wrong on purpose, by a word in their path, the same for every service.

Only reads a URL's text. Never opens it.
"""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import urlsplit


class MediaTrouble(StrEnum):
    """What is wrong with a media URL; the value is the path segment that says so."""

    NOT_FOUND = "not-found"
    TOO_LARGE = "too-large"
    REDIRECT = "redirect"
    NOT_AN_IMAGE = "not-an-image"
    CONTAINER_ERROR = "container-error"
    CONTAINER_EXPIRED = "container-expired"


TROUBLES_BY_WORD = {trouble.value: trouble for trouble in MediaTrouble}


def media_trouble(url: str) -> MediaTrouble | None:
    """Return what is wrong with a media URL, or None.

    Args:
        url: Any URL: `https://cdn.example.com/not-found/1.jpg` is one that is not found.

    Returns:
        The first trouble whose value is a segment of the path, with or without an extension.
    """
    for segment in urlsplit(url).path.split("/"):
        trouble = TROUBLES_BY_WORD.get(segment.split(".", 1)[0])
        if trouble is not None:
            return trouble
    return None


def fetchable(url: str) -> bool:
    """Return whether a platform would fetch this URL at all: `http` or `https`, with a host."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname)
