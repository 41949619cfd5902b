"""The content plugin: writes a month of posts for a brand, and rewrites single ones.

Public names only, each imported when it is first used: a producer needs the payloads and not the post store.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_content.database import PostStoreError as PostStoreError
    from jobrunner_content.failures import RefusedError as RefusedError
    from jobrunner_content.failures import TransientError as TransientError
    from jobrunner_content.failures import UnusableError as UnusableError
    from jobrunner_content.failures import WriterError as WriterError
    from jobrunner_content.limits import Limits as Limits
    from jobrunner_content.limits import limits_of as limits_of
    from jobrunner_content.payload import ContentGenerateMonthly as ContentGenerateMonthly
    from jobrunner_content.payload import ContentRegenSingle as ContentRegenSingle
    from jobrunner_content.payload import MonthlyPreferences as MonthlyPreferences
    from jobrunner_content.payload import RegenPreferences as RegenPreferences
    from jobrunner_content.plan import Slot as Slot
    from jobrunner_content.plan import plan_month as plan_month
    from jobrunner_content.poststore import Post as Post
    from jobrunner_content.poststore import PostChangedError as PostChangedError
    from jobrunner_content.poststore import PostStore as PostStore
    from jobrunner_content.poststore import open_poststore as open_poststore
    from jobrunner_content.producers import Content as Content
    from jobrunner_content.producers import SyncContent as SyncContent
    from jobrunner_content.result import MonthlyResult as MonthlyResult
    from jobrunner_content.result import RegenResult as RegenResult
    from jobrunner_content.settings import ContentSettings as ContentSettings
    from jobrunner_content.text import PostText as PostText
    from jobrunner_content.writer import Brief as Brief
    from jobrunner_content.writer import OpenWriter as OpenWriter
    from jobrunner_content.writer import Writer as Writer

_HOMES = {
    "database": ("PostStoreError",),
    "failures": ("RefusedError", "TransientError", "UnusableError", "WriterError"),
    "limits": ("Limits", "limits_of"),
    "payload": ("ContentGenerateMonthly", "ContentRegenSingle", "MonthlyPreferences", "RegenPreferences"),
    "plan": ("Slot", "plan_month"),
    "poststore": ("Post", "PostChangedError", "PostStore", "open_poststore"),
    "producers": ("Content", "SyncContent"),
    "result": ("MonthlyResult", "RegenResult"),
    "settings": ("ContentSettings",),
    "text": ("PostText",),
    "writer": ("Brief", "OpenWriter", "Writer"),
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
