"""What approval jobs share in a worker: the table, the mail server, the settings.

Wires only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from jobrunner_approval.directory import Directory, open_directory
from jobrunner_approval.mailer import Mailer
from jobrunner_approval.settings import ApprovalSettings


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What approval jobs share.

    Args:
        directory: The approvers' table.
        mailer: The mail server.
        settings: The plugin's settings.
    """

    directory: Directory
    mailer: Mailer
    settings: ApprovalSettings


@asynccontextmanager
async def open_desk(settings: ApprovalSettings, mailer: Mailer) -> AsyncIterator[Desk]:
    """Open what approval jobs need, and close it at the end. Nothing is connected yet.

    Args:
        settings: The plugin's settings.
        mailer: The mail server.

    Raises:
        SettingsError: The database's address cannot be used.
    """
    async with open_directory(settings) as directory:
        yield Desk(directory=directory, mailer=mailer, settings=settings)
