"""The publish plugin: posts to Facebook, Instagram, LinkedIn, X and Mastodon through the queue `publish.dispatch`.

Public names only, each imported when it is first used: a producer needs the payload and not the adapters.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_publish.adapter import Account as Account
    from jobrunner_publish.adapter import Adapter as Adapter
    from jobrunner_publish.adapter import Context as Context
    from jobrunner_publish.adapter import Post as Post
    from jobrunner_publish.adapter import Published as Published
    from jobrunner_publish.api import Api as Api
    from jobrunner_publish.api import Dialect as Dialect
    from jobrunner_publish.effect import Effect as Effect
    from jobrunner_publish.failures import AnswerLostError as AnswerLostError
    from jobrunner_publish.failures import DuplicateError as DuplicateError
    from jobrunner_publish.failures import PublishError as PublishError
    from jobrunner_publish.failures import RefusedError as RefusedError
    from jobrunner_publish.failures import TransientError as TransientError
    from jobrunner_publish.failures import UnknownOutcomeError as UnknownOutcomeError
    from jobrunner_publish.fetch import Fetcher as Fetcher
    from jobrunner_publish.fetch import Media as Media
    from jobrunner_publish.payload import PlatformAccount as PlatformAccount
    from jobrunner_publish.payload import PostContent as PostContent
    from jobrunner_publish.payload import PublishDispatch as PublishDispatch
    from jobrunner_publish.producers import Publish as Publish
    from jobrunner_publish.result import Delivery as Delivery
    from jobrunner_publish.result import DispatchResult as DispatchResult
    from jobrunner_publish.settings import PublishSettings as PublishSettings
    from jobrunner_publish.verdicts import Problem as Problem
    from jobrunner_publish.verdicts import Rule as Rule
    from jobrunner_publish.verdicts import Verdict as Verdict
    from jobrunner_publish.verdicts import rule as rule

_HOMES = {
    "adapter": ("Account", "Adapter", "Context", "Post", "Published"),
    "api": ("Api", "Dialect"),
    "effect": ("Effect",),
    "failures": (
        "AnswerLostError",
        "DuplicateError",
        "PublishError",
        "RefusedError",
        "TransientError",
        "UnknownOutcomeError",
    ),
    "fetch": ("Fetcher", "Media"),
    "result": ("Delivery", "DispatchResult"),
    "payload": ("PlatformAccount", "PostContent", "PublishDispatch"),
    "producers": ("Publish",),
    "settings": ("PublishSettings",),
    "verdicts": ("Problem", "Rule", "Verdict", "rule"),
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
