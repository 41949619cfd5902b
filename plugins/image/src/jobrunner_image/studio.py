"""What a worker opens once for all of its image jobs: the engine, the threads that draw, and the gallery.

Wires, and finishes what an engine drew: cropped, encoded, stored. Never decides what is drawn.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import msgspec
from PIL import Image, ImageOps

from jobrunner_image.engine import Drawn, Engine, Order, Workshop
from jobrunner_image.registry import load_engine
from jobrunner_image.settings import ImageSettings
from jobrunner_image.storage import Gallery, open_gallery

MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg"}
SUFFIXES = {"png": "png", "jpeg": "jpg"}


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that is in the gallery: its address, its size in bytes, its digest."""

    url: str
    bytes: int
    sha256: str


class Studio:
    """What image jobs share in a worker.

    Args:
        settings: The plugin's settings.
        engine: What draws.
        workshop: The threads that draw.
        gallery: Where pictures go.
    """

    def __init__(
        self, *, settings: ImageSettings, engine: Engine, workshop: Workshop, gallery: Gallery
    ) -> None:
        self.settings = settings
        self.engine = engine
        self._workshop = workshop
        self._gallery = gallery

    @property
    def suffix(self) -> str:
        """The suffix of the files' names."""
        return SUFFIXES[self.settings.format]

    @property
    def mime_type(self) -> str:
        """The files' type."""
        return MIME_TYPES[self.settings.format]

    async def finish(self, drawn: Drawn, order: Order, path: str) -> Stored:
        """Bring a picture to its size, encode it, and store it, in a drawing thread.

        Args:
            drawn: The picture; not usable afterwards.
            order: What was wanted.
            path: Where it goes in the gallery.

        Raises:
            OSError: It cannot be stored.
        """
        return await self._workshop.run(self._finish, drawn.image, (order.width, order.height), path)

    def _finish(self, image: Image.Image, size: tuple[int, int], path: str) -> Stored:
        if image.size != size:
            image = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        content = encode(image, self.settings)
        url = self._gallery.put(path, content)
        return Stored(url=url, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def encode(image: Image.Image, settings: ImageSettings) -> bytes:
    """Encode a picture as the settings say, with its pixels and nothing else: no comment, no place, no profile."""
    bare = image.convert("RGB")
    bare.info = {}
    out = io.BytesIO()
    if settings.format == "jpeg":
        bare.save(out, "JPEG", quality=settings.jpeg_quality, progressive=True)
    else:
        bare.save(out, "PNG", compress_level=4)
    return out.getvalue()


@asynccontextmanager
async def open_studio(settings: ImageSettings) -> AsyncIterator[Studio]:
    """Open what image jobs need, and close it at the end.

    Args:
        settings: The plugin's settings.

    Raises:
        PluginError: The engine or the place for pictures cannot be used.
    """
    open_engine = load_engine(settings.engine)
    threads = ThreadPoolExecutor(settings.draw_threads, thread_name_prefix="jobrunner-image")
    try:
        workshop = Workshop(settings, threads)
        gallery = await workshop.run(open_gallery, settings)
        async with open_engine(workshop) as engine:
            yield Studio(settings=settings, engine=engine, workshop=workshop, gallery=gallery)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
