"""The analytics plugin: pulls the figures of posts from the platforms through the queue `analytics.pull`.

Public names only, each imported when it is first used: a producer needs the payload and not the platforms.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_analytics.accounts import Account as Account
    from jobrunner_analytics.api import Api as Api
    from jobrunner_analytics.api import Dialect as Dialect
    from jobrunner_analytics.api import Problem as Problem
    from jobrunner_analytics.failures import PlatformError as PlatformError
    from jobrunner_analytics.failures import RefusedError as RefusedError
    from jobrunner_analytics.failures import TransientError as TransientError
    from jobrunner_analytics.metrics import MetricRow as MetricRow
    from jobrunner_analytics.metrics import MetricStore as MetricStore
    from jobrunner_analytics.payload import METRICS as METRICS
    from jobrunner_analytics.payload import AnalyticsPull as AnalyticsPull
    from jobrunner_analytics.payload import DateRange as DateRange
    from jobrunner_analytics.platform import Context as Context
    from jobrunner_analytics.platform import Page as Page
    from jobrunner_analytics.platform import Platform as Platform
    from jobrunner_analytics.platform import PostFigures as PostFigures
    from jobrunner_analytics.platform import Query as Query
    from jobrunner_analytics.producers import Analytics as Analytics
    from jobrunner_analytics.producers import SyncAnalytics as SyncAnalytics
    from jobrunner_analytics.result import Pull as Pull
    from jobrunner_analytics.result import PullResult as PullResult
    from jobrunner_analytics.settings import AnalyticsSettings as AnalyticsSettings

_HOMES = {
    "accounts": ("Account",),
    "api": ("Api", "Dialect", "Problem"),
    "failures": ("PlatformError", "RefusedError", "TransientError"),
    "metrics": ("MetricRow", "MetricStore"),
    "payload": ("METRICS", "AnalyticsPull", "DateRange"),
    "platform": ("Context", "Page", "Platform", "PostFigures", "Query"),
    "producers": ("Analytics", "SyncAnalytics"),
    "result": ("Pull", "PullResult"),
    "settings": ("AnalyticsSettings",),
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
