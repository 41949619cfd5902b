"""The WhatsApp plugin: sends messages through the Cloud API, from the queue `whatsapp-messages`.

Public names only, each imported when it is first used: a producer needs the payload and not the HTTP client.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_whatsapp.payload import WhatsAppMessage as WhatsAppMessage
    from jobrunner_whatsapp.phone import normalise as normalise
    from jobrunner_whatsapp.producers import SyncWhatsApp as SyncWhatsApp
    from jobrunner_whatsapp.producers import WhatsApp as WhatsApp
    from jobrunner_whatsapp.result import Accepted as Accepted
    from jobrunner_whatsapp.settings import WhatsAppSettings as WhatsAppSettings

_HOMES = {
    "payload": ("WhatsAppMessage",),
    "phone": ("normalise",),
    "producers": ("SyncWhatsApp", "WhatsApp"),
    "result": ("Accepted",),
    "settings": ("WhatsAppSettings",),
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
