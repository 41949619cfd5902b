"""The queues of the chaos tests: handlers that write down when they begin and end.

Loaded by workers as a file. The folder for the history is `CHAOS_HISTORY`; the lease is `CHAOS_LEASE` seconds.
"""

import asyncio
import ctypes
import os
import signal
import time
from pathlib import Path

import msgspec
from rig.history import History

from jobrunner import Job, Keep, Queue, Retry, RetryPolicy, SyncJob, hookimpl
from jobrunner.events import JobCompleted, JobLeaseLost

LEASE = float(os.environ.get("CHAOS_LEASE", "2"))
HISTORY = Path(os.environ.get("CHAOS_HISTORY", "."))


class Work(msgspec.Struct, rename="camel", frozen=True):
    """How long the work takes, and what it does."""

    number: int
    seconds: float = 0.0
    how: str = "well"


class Diary:
    """The history of this process, opened when it is first written to, so that a fork or a child has its own."""

    def __init__(self):
        self._history = None
        self.nonces = {}

    @property
    def history(self):
        if self._history is None:
            self._history = History(HISTORY, "worker")
        return self._history


diary = Diary()


def began(job):
    nonce = job._port.nonce
    diary.nonces[job.id] = nonce
    diary.history.started(job.id, run=job.run, nonce=nonce, worker=str(os.getpid()))
    return nonce


async def work(job: Job[Work]) -> int:
    nonce = began(job)
    payload = job.payload
    try:
        match payload.how:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(7)
            case "crash":
                ctypes.string_at(0)
            case "block":
                time.sleep(payload.seconds)
            case "retry" if job.attempt == 1:
                raise Retry(after=0.05)
            case "deaf":
                while True:
                    try:
                        await asyncio.sleep(3600)
                    except asyncio.CancelledError:
                        continue
            case _:
                await asyncio.sleep(payload.seconds)
    except Retry:
        diary.history.ended(job.id, nonce=nonce, outcome="retried")
        raise
    except asyncio.CancelledError:
        diary.history.ended(job.id, nonce=nonce, outcome="released")
        raise
    diary.history.ended(job.id, nonce=nonce, outcome="completed", result=str(payload.number))
    return payload.number


def hold(job: SyncJob[Work]) -> int:
    """Hold Python's lock for a while, as native code that never gives it up does."""
    (HISTORY / f"hold-{job.id}-{job.run}").touch()
    if job.payload.how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    ctypes.PyDLL(None).usleep(int(job.payload.seconds * 1_000_000))
    return job.payload.number


@hookimpl
def jobrunner_event(event: JobCompleted | JobLeaseLost) -> None:
    nonce = diary.nonces.get(event.job_id, "")
    verdict = "accepted" if isinstance(event, JobCompleted) else "refused"
    if event.queue == "chaos.work" and nonce:
        diary.history.settled(event.job_id, nonce=nonce, outcome="completed", verdict=verdict)


@hookimpl
def jobrunner_queues() -> list[Queue]:
    keep = Keep(jobs=100_000, size=1 << 30)
    retry = RetryPolicy(max_attempts=5, base=0.2, cap=0.2)
    timeout = float(os.environ.get("CHAOS_TIMEOUT", "60"))
    return [
        Queue(
            "chaos.work",
            Work,
            work,
            concurrency=5,
            lease=LEASE,
            retry=retry,
            keep_completed=keep,
            timeout=timeout,
        ),
        Queue("chaos.hold", Work, hold, concurrency=2, lease=LEASE, executor="process", keep_completed=keep),
    ]
