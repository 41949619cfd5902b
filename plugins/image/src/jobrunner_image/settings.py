"""The settings of the image plugin, each read from `JOBRUNNER_IMAGE_<FIELD>`.

Pure data with its bounds. Opens nothing: whether a folder or a bucket is there shows when a worker starts.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jobrunner import Secret, Service, WebAddress

Size = Annotated[
    str, Meta(pattern=r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$", description="a size such as 1024x1024")
]

LOCAL = ("file", "local")
OBJECT_STORES = ("memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
"""Stores where one write of a whole object is atomic. Others, such as FTP, would show half a file to readers."""

SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class ImageSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How pictures are made and where they go.

    Args:
        engine: What draws: `card` draws a branded card offline, `openai` asks an images endpoint; or one that
            another distribution adds.
        output_url: Where pictures go: a folder, a `file://` URL, or an object store's, such as `s3://bucket/images`.
        format: The files' format.
        jpeg_quality: JPEG's quality, 40 to 95.
        draw_threads: Pictures that a worker draws at the same moment, 1 to 16. Each takes up to 160 MB.
        openai_url: The images endpoint's address, with or without `/v1`.
        openai_key: Its key.
        openai_model: The model that is asked.
        openai_sizes: The sizes that the model takes; the one nearest in shape is asked for, and cropped.
        openai_timeout: Seconds that a picture may take, 5 to 600.

    Raises:
        ValueError: `output_url` is of a kind that cannot be written atomically, or holds credentials.
    """

    engine: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)] = "card"
    output_url: Annotated[str, Meta(min_length=1, max_length=1024)] = "jobrunner-images"
    format: Literal["png", "jpeg"] = "png"
    jpeg_quality: Annotated[int, Meta(ge=40, le=95)] = 88
    draw_threads: Annotated[int, Meta(ge=1, le=16)] = 1
    openai_url: Annotated[str, Service("openai"), WebAddress] = "https://api.openai.com/v1"
    openai_key: Annotated[str, Secret] = ""
    openai_model: Annotated[str, Meta(min_length=1, max_length=128)] = "gpt-image-2.5-flare"
    openai_sizes: Annotated[tuple[Size, ...], Meta(min_length=1, max_length=32)] = (
        "1024x1024",
        "1536x1024",
        "1024x1536",
    )
    openai_timeout: Annotated[float, Meta(ge=5, le=600)] = 180.0

    def __post_init__(self) -> None:
        scheme = self.output_scheme
        if "::" in self.output_url or scheme not in (*LOCAL, *OBJECT_STORES):
            known = ", ".join(f"{name}://" for name in OBJECT_STORES)
            raise ValueError(f"output_url must be a folder, a file:// URL, or one of {known}")
        place = self.output_url.partition("://")[2].partition("/")[0]
        # abfs://CONTAINER@ACCOUNT names an account there, and no password.
        if "@" in place and (":" in place.partition("@")[0] or not scheme.startswith("abfs")):
            raise ValueError(
                "output_url must not hold credentials: give them by the store's own variables, such as AWS_ACCESS_KEY_ID"
            )

    @property
    def output_scheme(self) -> str:
        """The URL's scheme in lower case, `file` for a folder."""
        found = SCHEME.match(self.output_url)
        return found.group(1).lower() if found else "file"

    @property
    def is_local(self) -> bool:
        """Whether pictures go to a folder of this machine's."""
        return self.output_scheme in LOCAL
