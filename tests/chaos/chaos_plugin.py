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
from jobrunner.events import JobCompleted, JobLeaseLost, JobRecovered, JobReleased, JobRetried

LEASE = float(os.environ.get("CHAOS_LEASE", "2"))
TIMEOUT = float(os.environ.get("CHAOS_TIMEOUT", "60"))
MAX_CRASHES = int(os.environ.get("CHAOS_MAX_CRASHES", "3"))
KEEP = int(os.environ.get("CHAOS_KEEP", "100000"))
HISTORY = Path(os.environ.get("CHAOS_HISTORY", "."))
RAISES = bool(os.environ.get("CHAOS_OBSERVER_RAISES"))


class Work(msgspec.Struct, rename="camel", frozen=True):
    """How long the work takes, and what it does."""

    number: int
    seconds: float = 0.0
    how: str = "well"
    filler: str = ""


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
    try:
        await do(job)
    except Retry:
        diary.history.ended(job.id, nonce=nonce, outcome="retried")
        raise
    except asyncio.CancelledError:
        diary.history.ended(job.id, nonce=nonce, outcome="released")
        raise
    diary.history.ended(job.id, nonce=nonce, outcome="completed", result=str(job.payload.number))
    return job.payload.number


async def do(job):
    match job.payload.how:
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case "crash":
            ctypes.string_at(0)
        case "block":
            time.sleep(job.payload.seconds)
        case "hold":
            hold_lock(job.payload.seconds)
        case "retry" if job.attempt == 1:
            raise Retry(after=0.05)
        case "long at first" if job.run == 1:
            await asyncio.sleep(3600)
        case "steps":
            await in_steps(job)
        case "deaf":
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue
        case _:
            await asyncio.sleep(job.payload.seconds)


async def in_steps(job):
    """Three effects outside, each as a step, with something to say in between."""
    for name in ("one", "two", "three"):
        await job.step(name, effect, job.id, name)
        await job.progress(0.5, name)
        await asyncio.sleep(job.payload.seconds)


async def effect(job_id, name):
    with (HISTORY / "effects").open("a") as file:
        file.write(f"{job_id} {name}\n")
    return name


def hold_lock(seconds):
    """Hold Python's lock for a while, as native code that never gives it up does."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))


def hold(job: SyncJob[Work]) -> int:
    (HISTORY / f"hold-{job.id}-{job.run}").write_text(str(os.getpid()))
    if job.payload.how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job.payload.how == "sleep":
        time.sleep(job.payload.seconds)
    else:
        hold_lock(job.payload.seconds)
    return job.payload.number


def fail(job: SyncJob[Work]) -> None:
    raise RuntimeError(f"number {job.payload.number} cannot be done")


BANDS = [f"chaos.band{priority}" for priority in range(10)]
"""Queues that differ only in their priority, which is the last figure of the name."""

TOLD = {"chaos.work", "chaos.paced", *BANDS}
"""Queues whose settlements are in the history."""

OUTCOMES = {JobCompleted: "completed", JobRetried: "retried", JobReleased: "released"}


@hookimpl
def jobrunner_event(event: JobCompleted | JobLeaseLost | JobRecovered | JobReleased | JobRetried) -> None:
    nonce = diary.nonces.get(event.job_id, "")
    if isinstance(event, JobRecovered):
        diary.history.recovered(event.job_id)
    elif event.queue in TOLD and nonce:
        outcome = OUTCOMES.get(type(event), "completed")
        verdict = "accepted" if type(event) in OUTCOMES else "refused"
        diary.history.settled(event.job_id, nonce=nonce, outcome=outcome, verdict=verdict)
    if RAISES:
        raise OSError(28, "No space left on device")


@hookimpl
def jobrunner_queues() -> list[Queue]:
    shared = {"lease": LEASE, "max_crashes": MAX_CRASHES, "keep_completed": Keep(jobs=KEEP, size=1 << 30)}
    retry = RetryPolicy(max_attempts=5, base=0.2, cap=0.2)
    herd = RetryPolicy(max_attempts=5, base=60.0, cap=60.0)
    return [
        Queue("chaos.work", Work, work, concurrency=5, retry=retry, timeout=TIMEOUT, **shared),
        Queue("chaos.hold", Work, hold, concurrency=2, executor="process", **shared),
        Queue("chaos.herd", Work, fail, concurrency=50, retry=herd, **shared),
        *[
            Queue(name, Work, work, priority=priority, concurrency=2, timeout=TIMEOUT, **shared)
            for priority, name in enumerate(BANDS)
        ],
    ]
