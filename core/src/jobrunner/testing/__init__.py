"""The test kit: run a handler alone, or a plugin's queues under a clock of the test's own, without any server.

Public names only, each imported when it is first used: pytest loads this package in every run. Nothing here is
for production.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what a type checker and an editor see; at run time the table below serves
    from jobrunner.testing.clock import VirtualClock as VirtualClock
    from jobrunner.testing.contract import ContractError as ContractError
    from jobrunner.testing.contract import PluginReport as PluginReport
    from jobrunner.testing.contract import check_plugin as check_plugin
    from jobrunner.testing.desk import EnqueuedJob as EnqueuedJob
    from jobrunner.testing.harness import EndlessWorkError as EndlessWorkError
    from jobrunner.testing.harness import Harness as Harness
    from jobrunner.testing.performing import Performed as Performed
    from jobrunner.testing.performing import perform_job as perform_job
    from jobrunner.testing.performing import perform_job_sync as perform_job_sync
    from jobrunner.testing.stored import StoredJob as StoredJob

_WHERE = {
    "clock": ("VirtualClock",),
    "contract": ("ContractError", "PluginReport", "check_plugin"),
    "desk": ("EnqueuedJob",),
    "harness": ("EndlessWorkError", "Harness"),
    "performing": ("Performed", "perform_job", "perform_job_sync"),
    "stored": ("StoredJob",),
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULES)  # noqa: PLE0605 - a list of strings, made from the table


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'jobrunner.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jobrunner.testing.{module}"), name)


def __dir__() -> list[str]:
    return list(__all__)
