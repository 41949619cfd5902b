"""What an engine is given and what it gives back: the whole interface of whatever draws.

An engine is a module, or an object, with a function `open_engine(workshop)` that returns an async context manager
around an object with `async def draw(order)`. It knows no queue and stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import ParamSpec, Protocol, TypeVar

import msgspec
from PIL import Image

from jobrunner_image.decoding import decode
from jobrunner_image.payload import Style
from jobrunner_image.settings import ImageSettings

A = ParamSpec("A")
T = TypeVar("T")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that is wanted.

    Args:
        seed: The same for each attempt at one job, and another for each job: what is drawn by chance comes of it.
        tenant_id: Whose picture it is.
        brand_id: The brand that it is drawn for.
        prompt: What it shows.
        style: How it looks.
        width: Pixels.
        height: Pixels.
        colors: `#rgb` or `#rrggbb`, the most important first; empty for none in particular.
        fonts: Names of bundled fonts, headlines first; empty for the style's own.
    """

    seed: str
    tenant_id: str
    brand_id: str
    prompt: str
    style: Style
    width: int
    height: int
    colors: tuple[str, ...] = ()
    fonts: tuple[str, ...] = ()


class Drawn:
    """A picture that is drawn.

    Args:
        image: The picture. Where it is of another size it is cropped to the wanted shape and scaled.
        notes: What could not be done as asked, a sentence each.
    """

    def __init__(self, image: Image.Image, notes: tuple[str, ...] = ()) -> None:
        self.image = image
        self.notes = notes


class Workshop:
    """What every engine works with: the settings, threads to draw in, and a safe way to open a picture.

    Args:
        settings: The plugin's settings.
        threads: Where drawing happens; as many pictures at once as the settings say.
    """

    def __init__(self, settings: ImageSettings, threads: ThreadPoolExecutor) -> None:
        self.settings = settings
        self._threads = threads

    async def run(self, fn: Callable[A, T], *args: A.args, **kwargs: A.kwargs) -> T:
        """Call a function in a drawing thread, so that the event loop goes on; it waits for a free one."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(fn, *args, **kwargs))

    async def decode(self, content: bytes) -> Image.Image:
        """Open a picture from outside in a drawing thread.

        Raises:
            UnusableImageError: It is no PNG, JPEG or WebP, is broken, or has too many pixels.
        """
        return await self.run(decode, content)


class Engine(Protocol):
    """What draws."""

    async def draw(self, order: Order) -> Drawn:
        """Draw a picture.

        Args:
            order: What is wanted.

        Raises:
            Discard: It will never work, such as a prompt that is refused.
            Retry: Not now, and it is known when.
            Exception: Anything else is tried again with backoff.
        """
        ...


class OpenEngine(Protocol):
    """The function `open_engine` of an engine's module."""

    def __call__(self, workshop: Workshop) -> AbstractAsyncContextManager[Engine]:
        """Open what the engine needs, once a worker."""
        ...
