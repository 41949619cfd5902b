"""The image plugin: draws pictures for posts through the queue `image.generate`.

Public names only, each imported when it is first used: a producer needs the payload and not the renderer.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_image.decoding import UnusableImageError as UnusableImageError
    from jobrunner_image.engine import Drawn as Drawn
    from jobrunner_image.engine import Engine as Engine
    from jobrunner_image.engine import Order as Order
    from jobrunner_image.engine import Workshop as Workshop
    from jobrunner_image.payload import FONTS as FONTS
    from jobrunner_image.payload import Dimensions as Dimensions
    from jobrunner_image.payload import ImageGenerate as ImageGenerate
    from jobrunner_image.producers import Image as Image
    from jobrunner_image.producers import SyncImage as SyncImage
    from jobrunner_image.result import ImageResult as ImageResult
    from jobrunner_image.settings import ImageSettings as ImageSettings

_HOMES = {
    "decoding": ("UnusableImageError",),
    "engine": ("Drawn", "Engine", "Order", "Workshop"),
    "payload": ("FONTS", "Dimensions", "ImageGenerate"),
    "producers": ("Image", "SyncImage"),
    "result": ("ImageResult",),
    "settings": ("ImageSettings",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_WHERE)  # noqa: PLE0605 - a list, made from the one table above


def __getattr__(name: str) -> object:
    module = _WHERE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return list(__all__)
