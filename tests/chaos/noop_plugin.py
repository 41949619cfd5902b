"""A queue whose jobs do nothing and leave no history: for runs of a million, in which only the store's word counts.

Loaded by workers as a file. `CHAOS_KEEP` is how many completed jobs are kept.
"""

import os

import msgspec

from jobrunner import Job, Keep, Queue, hookimpl

KEEP = int(os.environ.get("CHAOS_KEEP", "1000"))


class Nothing(msgspec.Struct, rename="camel", frozen=True):
    """What a job that does nothing is given."""

    number: int


async def nothing(job: Job[Nothing]) -> None:
    del job


@hookimpl
def jobrunner_queues() -> list[Queue]:
    keep = Keep(jobs=KEEP, size=1 << 34)
    return [Queue("chaos.noop", Nothing, nothing, concurrency=50, keep_completed=keep)]
