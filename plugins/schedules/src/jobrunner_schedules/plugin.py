"""The plugin `schedules` as it is loaded: a worker that loads it keeps the schedules, on a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobrunner import SyncClient, hookimpl
from jobrunner.settings import core_settings

LEAVE_S = 12.0
"""Seconds that a keeper may take to end what is under way; the next one finishes what it leaves."""


@hookimpl
@asynccontextmanager
async def jobrunner_resources(is_child: bool) -> AsyncIterator[list[object]]:  # noqa: FBT001 - called by name
    """Keep the schedules as long as the worker runs; of the workers of `--processes` the first does it."""
    if is_child or os.environ.get("JOBRUNNER_WORKER_INDEX", "0") != "0":
        yield []
        return
    from jobrunner_schedules.keeper import Keeper  # noqa: PLC0415 - for producers, who load the plugin too
    from jobrunner_schedules.trail import teller  # noqa: PLC0415 - likewise

    client = SyncClient.from_env(retry_for=10.0)
    keeper = Keeper(client, teller(core_settings(os.environ)))
    thread = threading.Thread(target=keeper.run, name="jobrunner-schedules", daemon=True)
    thread.start()
    try:
        yield [keeper]
    finally:
        keeper.stop()
        await asyncio.to_thread(thread.join, LEAVE_S)
        client.close()
