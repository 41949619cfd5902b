"""The event loop of a worker's process, held against what handlers do to it: they share it, and may not end it.

It runs a worker to its end, and knows nothing of jobs.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import os
from collections import deque

from jobrunner.errors import WorkerLostError
from jobrunner.worker.worker import Worker

TASKS_S = 1.0
"""Seconds that tasks which handlers started and left have to end in, once they are cancelled."""


def serve(worker: Worker) -> int:
    """Run a worker on a loop of its own; its exit status.

    Raises:
        JobrunnerError: As `Worker.run`.
        WorkerLostError: A handler cancelled tasks that were not its own, and among them the worker's.
    """
    gc.freeze()  # what was imported is never collected, and need not be looked through again
    loop = asyncio.new_event_loop()
    os.register_at_fork(after_in_child=functools.partial(_end_copy, loop))
    try:
        status = _run(loop, worker)
        if not worker.left_behind:
            _end_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        if not worker.left_behind:
            loop.close()
    return status


def _run(loop: asyncio.AbstractEventLoop, worker: Worker) -> int:
    main = loop.create_task(worker.run(), name="jobrunner worker")
    while True:
        try:
            return loop.run_until_complete(main)
        except asyncio.CancelledError:
            raise WorkerLostError(
                "a handler cancelled tasks that were not its own, and with them the worker; its jobs come back when their "
                "leases have run out"
            ) from None
        except (RuntimeError, KeyboardInterrupt, SystemExit):
            # A handler stopped the loop, or what it left on it raised through it. Ctrl-C itself is a signal that is
            # listened to; before that it ends the process, as it should.
            if main.done() or not worker.shutdown.listens:
                raise


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what handlers started and left: else each such task is complained of when it is collected."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(_waited(tasks))


async def _waited(tasks: set[asyncio.Task[object]]) -> None:
    await asyncio.wait(tasks, timeout=TASKS_S)


def _end_copy(loop: asyncio.AbstractEventLoop) -> None:
    """A handler forked: where its child comes back to the loop it would read answers that are the worker's, and its
    sockets would be taken out of the selector that both have. So it ends before it does anything else.
    """
    if loop.is_running():
        end = loop.call_soon(os._exit, 1)
        ready = getattr(
            loop, "_ready", None
        )  # what is to be done, in this order; asyncio has no other way to be first
        if isinstance(ready, deque):
            ready.rotate(1 if ready[-1] is end else 0)
