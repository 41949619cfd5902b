"""What a producer holds of a job that it enqueued: its name, and the way to its result.

Waiting asks the store, less often the longer it takes; it never hangs on a job that is gone.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from jobrunner.errors import JobCancelledError, JobFailedError, ResultGone
from jobrunner.model import State
from jobrunner.record import AttemptError, Crash, Note, Result, decode_journal
from jobrunner.store import looks
from jobrunner.store.store import Store, SyncStore

FIRST_LOOK_S, LOOK_S = 0.01, 0.5
"""Seconds between looks for a result: at first, and at the most."""


class _Handle(msgspec.Struct, eq=False, weakref=True):
    """A job by its name.

    Attributes:
        id: The job's id.
        queue: The queue's name.
        created: False where a job of that id and payload was there already.
    """

    id: str
    queue: str
    created: bool

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("id", self.id), ("queue", self.queue), ("created", self.created)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue} {self.id}{'' if self.created else ' (was there)'}>"


class JobHandle(_Handle):
    """A job that an async client enqueued."""

    _store: Store

    async def result(self, timeout: float | None = None) -> object:
        """Wait for the job to end and return what its handler returned, as plain maps and lists.

        Args:
            timeout: Seconds to wait; None waits for as long as it takes.

        Raises:
            TimeoutError: It has not ended in time.
            JobFailedError: It failed.
            JobCancelledError: It was cancelled.
            ResultGone: It ended and was trimmed, or was removed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        wait = FIRST_LOOK_S
        keys = self._store.keys(self.queue)
        while True:
            replies = await self._store.run_many(looks.ended(keys, self.id))
            answer = outcome_of(self, replies)
            if answer is not None:
                return msgspec.json.decode(answer)
            await asyncio.sleep(_next_wait(wait, deadline, self))
            wait = min(LOOK_S, wait * 1.5)


class SyncJobHandle(_Handle):
    """A job that a blocking client enqueued."""

    _store: SyncStore

    def result(self, timeout: float | None = None) -> object:
        """Wait for the job to end and return what its handler returned; see `JobHandle.result`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        wait = FIRST_LOOK_S
        keys = self._store.keys(self.queue)
        while True:
            answer = outcome_of(self, self._store.run_many(looks.ended(keys, self.id)))
            if answer is not None:
                return msgspec.json.decode(answer)
            time.sleep(_next_wait(wait, deadline, self))
            wait = min(LOOK_S, wait * 1.5)


def outcome_of(handle: _Handle, replies: list[object]) -> bytes | None:
    """What became of a job: its result as JSON, or None while it has not ended; raises as `JobHandle.result`."""
    state, raw, there = looks.how_ended(replies)
    if state is None:
        if not there:
            raise ResultGone(
                f"job {handle.id} of {handle.queue} is not there any more, and its result with it"
            )
        return None
    entries = [dated.entry for dated in decode_journal(raw)]
    if state is State.COMPLETED:
        results = [entry for entry in entries if isinstance(entry, Result)]
        return bytes(results[-1].value) if results else b"null"
    if state is State.CANCELLED:
        notes = [entry.reason for entry in entries if isinstance(entry, Note) and entry.what == "cancelled"]
        raise JobCancelledError(
            f"job {handle.id} was cancelled" + (f": {notes[-1]}" if notes and notes[-1] else "")
        )
    for entry in reversed(entries):
        if isinstance(entry, AttemptError):
            raise JobFailedError(handle.id, entry.error_type, entry.message)
        if isinstance(entry, Crash):
            raise JobFailedError(handle.id, "WorkerLost", "its worker was lost once too often")
    raise JobFailedError(handle.id, "Unknown", "nothing is recorded of why")


def _next_wait(wait: float, deadline: float | None, handle: _Handle) -> float:
    if deadline is None:
        return wait
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"job {handle.id} of {handle.queue} has not ended in time")
    return min(wait, left)
