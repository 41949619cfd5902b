"""The approval plugin: asks approvers for their word by mail and WhatsApp, from the queue `approval.notify`.

Public names only, each imported when it is first used: a producer needs the payload, and neither the database nor SMTP.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobrunner_approval.approver import Approver as Approver
    from jobrunner_approval.directory import Directory as Directory
    from jobrunner_approval.directory import open_directory as open_directory
    from jobrunner_approval.payload import ApprovalNotify as ApprovalNotify
    from jobrunner_approval.producers import Approval as Approval
    from jobrunner_approval.producers import SyncApproval as SyncApproval
    from jobrunner_approval.result import Notice as Notice
    from jobrunner_approval.result import NotifyResult as NotifyResult
    from jobrunner_approval.settings import ApprovalSettings as ApprovalSettings

_HOMES = {
    "approver": ("Approver",),
    "directory": ("Directory", "open_directory"),
    "payload": ("ApprovalNotify",),
    "producers": ("Approval", "SyncApproval"),
    "result": ("Notice", "NotifyResult"),
    "settings": ("ApprovalSettings",),
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
