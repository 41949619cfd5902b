"""The benchmark's queues: a payload of about 200 bytes, and handlers that do next to nothing."""

from __future__ import annotations

import os
import time

import msgspec

from jobrunner import Job, Queue, hookimpl

FILE = os.environ.get("BENCH_FILE", os.devnull)
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", "50"))


class Message(msgspec.Struct, rename="camel"):
    """A message to one person."""

    tenant_id: str
    to: str
    message: str
    campaign_id: str | None = None
    sent: float = 0.0


def message(tenant: str = "t-17", sent: float = 0.0) -> Message:
    """A payload of about 200 bytes."""
    return Message(tenant, "+15551234567", "m" * 120, "c-9", sent)


_file = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def count(job: Job[Message]) -> None:
    """Append one byte, whose arrival the benchmark sees."""
    del job
    os.write(_file, b"x")


async def clock(job: Job[Message]) -> None:
    """Append how long the job took from the producer to here, in seconds."""
    os.write(_file, b"%.6f\n" % (time.time() - job.payload.sent))


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """Two queues: one to drain, one to time."""
    return [
        Queue("bench.count", Message, count, concurrency=CONCURRENCY),
        Queue("bench.clock", Message, clock, concurrency=10),
    ]
