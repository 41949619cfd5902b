"""The result of an image job: where the picture is, and what it is.

Pure data, as producers read it.
"""

from __future__ import annotations

import msgspec


class ImageResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A picture that is stored.

    Args:
        url: Where it is, such as `file:///srv/images/...` or `s3://bucket/...`.
        path: The same, below the setting `output_url`.
        width: Pixels.
        height: Pixels.
        bytes: The file's size.
        sha256: The file's digest, in hex.
        mime_type: `image/png` or `image/jpeg`.
        engine: What drew it.
        post_id: The post that it is for, as the payload named it.
        notes: What could not be done as asked, a sentence each.
    """

    url: str
    path: str
    width: int
    height: int
    bytes: int
    sha256: str
    mime_type: str
    engine: str
    post_id: str = ""
    notes: tuple[str, ...] = ()
