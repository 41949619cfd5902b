"""jobrunner: a plugin-based job runner on Redis or Valkey.

Public names only; each is imported when it is first used, so that a producer does not pay for a worker.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what a type checker and an editor see; at run time the table below serves
    from jobrunner import events as events
    from jobrunner.client import Client as Client
    from jobrunner.errors import ClosedClientError as ClosedClientError
    from jobrunner.errors import ConflictError as ConflictError
    from jobrunner.errors import Discard as Discard
    from jobrunner.errors import InvalidNameError as InvalidNameError
    from jobrunner.errors import JobCancelledError as JobCancelledError
    from jobrunner.errors import JobFailedError as JobFailedError
    from jobrunner.errors import JobNotFoundError as JobNotFoundError
    from jobrunner.errors import JobrunnerError as JobrunnerError
    from jobrunner.errors import JobTimeoutError as JobTimeoutError
    from jobrunner.errors import LeaseLostError as LeaseLostError
    from jobrunner.errors import OutcomeUnknownError as OutcomeUnknownError
    from jobrunner.errors import PayloadError as PayloadError
    from jobrunner.errors import PayloadTooLargeError as PayloadTooLargeError
    from jobrunner.errors import PluginError as PluginError
    from jobrunner.errors import QueueFullError as QueueFullError
    from jobrunner.errors import ResultGone as ResultGone
    from jobrunner.errors import Retry as Retry
    from jobrunner.errors import SettingsError as SettingsError
    from jobrunner.errors import Snooze as Snooze
    from jobrunner.errors import StepError as StepError
    from jobrunner.errors import StoreError as StoreError
    from jobrunner.errors import StoreFullError as StoreFullError
    from jobrunner.errors import StoreRefusedError as StoreRefusedError
    from jobrunner.errors import StoreUnavailableError as StoreUnavailableError
    from jobrunner.errors import UnknownQueueError as UnknownQueueError
    from jobrunner.handle import JobHandle as JobHandle
    from jobrunner.handle import SyncJobHandle as SyncJobHandle
    from jobrunner.hookspecs import hookimpl as hookimpl
    from jobrunner.job import Job as Job
    from jobrunner.job import SyncJob as SyncJob
    from jobrunner.late import Late as Late
    from jobrunner.masking import Secret as Secret
    from jobrunner.model import Keep as Keep
    from jobrunner.model import RateLimit as RateLimit
    from jobrunner.model import RetryPolicy as RetryPolicy
    from jobrunner.model import State as State
    from jobrunner.producing import BatchError as BatchError
    from jobrunner.queue import Queue as Queue
    from jobrunner.registry import Registry as Registry
    from jobrunner.settings import Service as Service
    from jobrunner.settings import WebAddress as WebAddress
    from jobrunner.settings import check_port as check_port
    from jobrunner.settings import plugin_settings as plugin_settings
    from jobrunner.sync_client import SyncClient as SyncClient

_WHERE = {
    "jobrunner.client": ("Client",),
    "jobrunner.producing": ("BatchError",),
    "jobrunner.sync_client": ("SyncClient",),
    "jobrunner.errors": (
        *(
            "ClosedClientError",
            "ConflictError",
            "Discard",
            "InvalidNameError",
            "JobCancelledError",
            "JobFailedError",
        ),
        *("JobNotFoundError", "JobrunnerError", "JobTimeoutError", "LeaseLostError", "OutcomeUnknownError"),
        *("PayloadError", "PayloadTooLargeError", "PluginError", "QueueFullError", "ResultGone", "Retry"),
        *("SettingsError", "Snooze", "StepError", "StoreError", "StoreFullError", "StoreRefusedError"),
        *("StoreUnavailableError", "UnknownQueueError"),
    ),
    "jobrunner.handle": ("JobHandle", "SyncJobHandle"),
    "jobrunner.hookspecs": ("hookimpl",),
    "jobrunner.job": ("Job", "SyncJob"),
    "jobrunner.late": ("Late",),
    "jobrunner.masking": ("Secret",),
    "jobrunner.model": ("Keep", "RateLimit", "RetryPolicy", "State"),
    "jobrunner.queue": ("Queue",),
    "jobrunner.registry": ("Registry",),
    "jobrunner.settings": ("Service", "WebAddress", "check_port", "plugin_settings"),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted([*_MODULES, "events"])  # noqa: PLE0605 - a list of strings, made from the table


def __getattr__(name: str) -> object:
    if name == "events":
        return importlib.import_module("jobrunner.events")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'jobrunner' has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return __all__
