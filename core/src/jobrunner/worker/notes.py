"""What running jobs have to say, written in batches: progress and log lines twice a second, steps at once.

Each is written under the job's lease. Progress and lines that cannot be written are let go: they are for people
to look at; a step is written or its handler is told.
"""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from jobrunner.backoff import reconnect_delay
from jobrunner.errors import LeaseLostError, StepError, StoreCorruptError, StoreError
from jobrunner.store import calls
from jobrunner.store.calls import NoteLine
from jobrunner.store.store import Store
from jobrunner.worker.attempt import Attempt

T = TypeVar("T")

FLUSH_S = 0.5
"""Seconds between two writes."""

MAX_STEPS = 1 << 20
"""Bytes of all steps of a job: with 64 KiB a step still sixteen of them."""

MAX_LOGS = 32 << 10
"""Bytes of the log lines that are kept with a job; the newest ones."""

BATCH = 200


class Notes:
    """The notes of a worker's jobs.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[Attempt, None] = {}
        self._under_way: frozenset[Attempt] = frozenset()
        self._writing = asyncio.Lock()

    def add(self, attempt: Attempt) -> None:
        """The attempt has something to write."""
        self._pending[attempt] = None

    async def run(self) -> None:
        """Write what is pending, twice a second, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            if self._pending:
                async with self._writing:
                    self._under_way = frozenset(self._pending)
                    await self._write(list(self._under_way))
                    self._under_way = frozenset()

    async def flush(self, attempt: Attempt) -> None:
        """Write what one attempt has pending, before its lease ends; return once all that it said is written."""
        if attempt in self._under_way:  # else what is on its way could come after this, or after the lease
            async with self._writing:
                pass
        await self._write([attempt])

    async def _write(self, attempts: list[Attempt]) -> None:
        by_queue: dict[str, list[NoteLine]] = {}
        for attempt in attempts:
            self._pending.pop(attempt, None)
            lines = by_queue.setdefault(attempt.queue.name, [])
            progress, logs = attempt.take_notes()
            if progress is not None:
                lines.append(NoteLine(attempt.id, attempt.nonce, "progress", progress))
            if newest := _newest(logs):
                lines.append(NoteLine(attempt.id, attempt.nonce, "log", newest))
        for queue, lines in by_queue.items():
            for start in range(0, len(lines), BATCH):
                part = lines[start : start + BATCH]
                call = calls.note(self._store.keys(queue), part, max_steps=MAX_STEPS, max_logs=MAX_LOGS)
                try:
                    await self._store.run(call)
                except StoreError:  # the exchange tells of the outage
                    return

    async def load_steps(self, attempt: Attempt) -> dict[str, bytes]:
        """The steps that earlier attempts of a job did: name -> result as JSON."""
        raw = await self._until_answered(
            calls.plain(["HGET", self._store.keys(attempt.queue.name)["steps"], attempt.id], _bytes)
        )
        steps: dict[str, bytes] = {}
        for line in (raw or b"").splitlines():
            name, value = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
            steps.setdefault(name, bytes(value))  # a line sent again because its answer was lost stands twice
        return steps

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Store a step.

        Raises:
            LeaseLostError: The job is another worker's.
            StepError: The job's steps are full.
        """
        one = NoteLine(attempt.id, attempt.nonce, "step", line)
        call = calls.note(self._store.keys(attempt.queue.name), [one], max_steps=MAX_STEPS, max_logs=MAX_LOGS)
        answer = await self._until_answered(call)
        if answer.lost:
            raise LeaseLostError(f"job {attempt.id}: its lease was lost, so the step was not stored")
        if answer.full:
            raise StepError(
                f"job {attempt.id}: its steps hold more than {MAX_STEPS:,} bytes; store references instead"
            )

    async def _until_answered(self, call: calls.Call[T]) -> T:
        """Ask until the store answers: that it is away, or does not let us in for a while, is no job's failure."""
        failures = 0
        while True:
            try:
                return await self._store.run(call)
            except StoreCorruptError:  # it will say so again
                raise
            except StoreError:
                failures += 1
                await asyncio.sleep(reconnect_delay(failures))


def _newest(lines: list[bytes]) -> bytes:
    """As many whole lines as a job may keep, from the end; one that is too long by itself is let go."""
    kept = b"".join(lines)
    if len(kept) <= MAX_LOGS:
        return kept
    return kept[-MAX_LOGS - 1 :].partition(b"\n")[2]


def _bytes(reply: object) -> bytes | None:
    return reply if isinstance(reply, bytes) else None
