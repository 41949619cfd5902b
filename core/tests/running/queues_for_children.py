"""Queues whose handlers run in child processes; loaded there by this file's path."""

import os
import signal
import time
from contextlib import asynccontextmanager

import msgspec

from jobrunner import Queue, RetryPolicy, SyncJob, hookimpl

WORKERS: list[int] = []
"""Processes that are workers: those in which resources were made that are not a child's."""


class Task(msgspec.Struct):
    how: str = "well"


class Whose(msgspec.Struct):
    """Who made it."""

    is_child: bool


def crunch(job: SyncJob[Task]) -> dict[str, object]:
    job.log.info("crunching", pid=os.getpid())
    job.progress(0.5, "half")
    done = job.step("once", os.getpid)
    match job.payload.how:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "fail" if job.attempt == 1:
            raise ValueError("not yet")
        case "wait":
            while not job.cancelled:
                time.sleep(0.02)
            raise RuntimeError(f"stopped: {job.cancel_reason}")
        case "hang":
            time.sleep(60)
        case "where":
            return {"child": job.resource(Whose).is_child, "worker": WORKERS}
        case "more":
            return {"child": job.enqueue("child.crunch", {"how": "well"}), "pid": done}
    return {"pid": done, "attempt": job.attempt}


def queue(name: str, timeout: float) -> Queue:
    return Queue(
        name,
        Task,
        crunch,
        executor="process",
        concurrency=2,
        lease=2,
        timeout=timeout,
        max_crashes=2,
        retry=RetryPolicy(max_attempts=2, base=0.05, cap=0.05),
    )


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [queue("child.crunch", 60.0), queue("child.hasty", 1.0)]


@hookimpl
@asynccontextmanager
async def jobrunner_resources(is_child):
    if not is_child:
        WORKERS.append(os.getpid())
    yield Whose(is_child)
