"""Queues whose handlers run in child processes; a child loads this file by its path."""

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from jobrunner import Job, PayloadError, Queue, RetryPolicy, Secret, Snooze, SyncJob, hookimpl


class Task(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    tenant_id: str = "t1"
    how: str = ""
    file: str = ""
    token: Annotated[str, Secret] = ""


def work(job: SyncJob[Task]) -> object:
    match job.payload.how:
        case "snooze":
            raise Snooze(20 * 3600, "tomorrow")
        case "enqueue later":
            return job.enqueue(
                "task.do", {"how": "pid"}, at=datetime.now(UTC) + timedelta(hours=1), priority=7
            )
        case "enqueue wrongly":
            return wrong(job, {"tenantId": 5}), wrong(job, {"how": object()})
        case "talk":
            for number in range(300):
                job.log.info("talking", number=number, text="x" * 20, token=job.payload.token)
                job.progress(number / 300, f"{number} {job.payload.token}")
            return job.step("secret", lambda: {"kept": job.payload.token})
        case "busy until cancelled":
            Path(job.payload.file).write_text(str(os.getpid()))
            while not job.cancelled:
                time.sleep(0.01)
            time.sleep(0.3)  # its clean-up
            Path(job.payload.file).write_text(f"cleaned up: {job.cancel_reason}")
            return "too late"
        case "deaf":
            Path(job.payload.file).write_text(str(os.getpid()))
            time.sleep(60)
    return os.getpid()


def wrong(job: SyncJob[Task], payload: dict[str, object]) -> str:
    try:
        return job.enqueue("task.do", payload)
    except PayloadError as error:
        return f"refused: {error.field}"


def say_here(file: str) -> None:
    Path(file).write_text("here")


async def wait(job: Job[Task]) -> object:
    """An `async def` in a process of its own."""
    say_here(job.payload.file)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await job.step("undone", lambda: job.cancel_reason)
        raise


async def tell(job: Job[Task]) -> object:
    """Tells where it runs; not declared to run in a process of its own."""
    if job.payload.how == "die":
        os._exit(7)
    if job.payload.how == "snooze":
        raise Snooze(1, "later")
    return [os.getpid(), await job.step("one", lambda: 1)]


def tell_plainly(job: SyncJob[Task]) -> object:
    if job.payload.how == "deaf":
        Path(job.payload.file).write_text(str(os.getpid()))
        time.sleep(60)
    return [os.getpid(), job.step("one", lambda: 1)]


def be_quick(job: SyncJob[Task]) -> str:
    return "quick"


ONCE = RetryPolicy(max_attempts=1)


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [
        Queue("task.do", Task, work, executor="process", concurrency=1, lease=1.0, retry=ONCE),
        # No interpreter starts and loads a plugin in that time.
        Queue("task.quick", Task, be_quick, executor="process", lease=1.0, timeout=0.05, retry=ONCE),
        Queue("task.wait", Task, wait, executor="process", concurrency=1, lease=1.0, retry=ONCE),
        Queue("task.tell", Task, tell, concurrency=20, lease=1.0, retry=ONCE),
        Queue("task.tell-plainly", Task, tell_plainly, concurrency=1, lease=1.0, retry=ONCE),
    ]
