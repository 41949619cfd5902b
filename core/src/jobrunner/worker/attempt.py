"""One attempt: a job under one lease in this process, from reservation until the store took its outcome.

It is what stands behind the job that a handler is given. It never decides what an attempt's end means.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import msgspec

from jobrunner.errors import LeaseLostError
from jobrunner.job import JobFacts
from jobrunner.masking import redact, redact_json
from jobrunner.names import trace_id
from jobrunner.queue import Queue
from jobrunner.record import Counts, Record

if TYPE_CHECKING:
    import structlog

MAX_LOG_LINES = 1000
"""Lines that a job may have waiting to be written; more within half a second are dropped from the store."""

MAX_PROGRESS_TEXT = 200
"""Characters of a progress report's message."""

STOP_WAIT_S = 5.0
"""Seconds that a handler has to end after it was asked to stop, before it is left behind."""


class Stop(Enum):
    """Why a running attempt is made to stop."""

    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    LEASE_LOST = "lease lost"
    SHUTDOWN = "shutdown"


class Desk(Protocol):
    """What an attempt asks of its worker, and what the test kit stands in for."""

    async def load_steps(self, attempt: Attempt) -> dict[str, bytes]:
        """The durable steps of earlier attempts."""
        ...

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Store a step; raises LeaseLostError."""
        ...

    async def enqueue(
        self, attempt: Attempt, queue: str, payload: object, options: Mapping[str, object]
    ) -> str:
        """Enqueue a job of a job."""
        ...

    def noted(self, attempt: Attempt) -> None:
        """The attempt has progress or log lines to write."""
        ...

    def resource(self, attempt: Attempt, kind: type[object]) -> object:
        """A resource of the plugin."""
        ...

    def logger(self, attempt: Attempt) -> structlog.typing.FilteringBoundLogger:
        """A logger bound to the attempt."""
        ...


class Attempt:
    """A job under one lease; the `JobPort` of its handler.

    Args:
        queue: The job's queue.
        job_id: Its id.
        nonce: The lease's nonce.
        record: The record; None where it is gone from the store or cannot be read.
        counts: The attempts before this one.
        desk: What it asks for things.
        plugin: The name of the plugin that declares the queue.
        wait_ms: Milliseconds that it waited in line.
        held_since: The monotonic time at which the lease began at the latest.
    """

    __slots__ = (
        *(
            "_desk",
            "_log",
            "_steps",
            "apart",
            "cancel_reason",
            "counts",
            "deadline",
            "ended_at",
            "held_since",
            "id",
            "logs",
        ),
        *(
            "nonce",
            "over",
            "plugin",
            "progress",
            "queue",
            "record",
            "secrets",
            "spoke",
            "started_at",
            "stop",
            "task",
            "wait_ms",
        ),
    )

    def __init__(
        self,
        queue: Queue,
        job_id: str,
        nonce: str,
        record: Record | None,
        counts: Counts,
        desk: Desk,
        *,
        plugin: str = "",
        wait_ms: int = 0,
        held_since: float = 0.0,
    ) -> None:
        self.queue = queue
        self.id = job_id
        self.nonce = nonce
        self.record = record
        self.counts = counts
        self.plugin = plugin
        self.wait_ms = wait_ms
        self.held_since = held_since
        self.started_at = 0.0
        self.ended_at = 0.0
        self.deadline = 0.0
        self.over = False
        self.apart = False
        """Whether it runs in a process of its own."""
        self.task: asyncio.Task[None] | None = None
        self.stop: Stop | None = None
        self.cancel_reason: str | None = None
        self.secrets: list[str] = []
        self.progress: bytes | None = None
        self.spoke = False
        """Whether it ever had progress or log lines; some may still be on their way to the store."""
        self.logs: deque[bytes] | None = None
        self._desk = desk
        self._steps: dict[str, bytes] | None = None if counts.runs else {}
        self._log: structlog.typing.FilteringBoundLogger | None = None

    @property
    def never_begins(self) -> bool:
        """Whether its task was cancelled before its first step: nothing of it runs then, not even what it does at its end."""
        if self.task is None or not self.task.cancelling():
            return False
        inside = self.task.get_coro()
        return inspect.iscoroutine(inside) and inspect.getcoroutinestate(inside) == inspect.CORO_CREATED

    @property
    def number(self) -> int:
        """The attempt's number: errors so far + 1."""
        return self.counts.errors + 1

    @property
    def tenant(self) -> str:
        """The job's tenant."""
        return self.record.tenant if self.record else ""

    @property
    def trace_id(self) -> str:
        """The trace that the job's producer was in; empty where it was in none."""
        return trace_id(self.record.headers) if self.record and self.record.headers else ""

    @property
    def duration_ms(self) -> int:
        """Milliseconds that the handler ran."""
        return max(0, int((self.ended_at - self.started_at) * 1000)) if self.started_at else 0

    def facts(self) -> JobFacts:
        """What the handler may know of the job."""
        record = self.record
        assert record is not None
        return JobFacts(
            id=self.id,
            queue=self.queue.name,
            plugin=self.plugin,
            tenant=record.tenant,
            attempt=self.number,
            run=self.counts.runs + 1,
            max_attempts=self.queue.retry.max_attempts,
            priority=record.priority,
            enqueued_ms=record.at_ms,
            headers=record.headers or {},
        )

    def ask_to_stop(self, stop: Stop, reason: str) -> bool:
        """Let the handler know that it is to stop, and do no more; the first reason stands. False where it knew."""
        if self.stop is not None:
            return False
        self.stop = stop
        self.cancel_reason = reason
        return True

    def request_stop(self, stop: Stop, reason: str) -> None:
        """Make the attempt stop; the first reason stands."""
        if not self.ask_to_stop(stop, reason) or self.task is None:
            return
        # A thread can only be asked; what does not listen is left behind.
        if self.queue.executor == "thread" and not self.apart:
            self.task.get_loop().call_later(STOP_WAIT_S, self.task.cancel, reason)
        else:
            self.task.cancel(reason)

    # ---- the port of the job ---------------------------------------------------------------------------------

    async def find_step(self, name: str) -> bytes | None:
        """The stored result of a step of an earlier attempt."""
        if self._steps is None:
            self._steps = await self._desk.load_steps(self)
        return self._steps.get(name)

    async def save_step(self, name: str, value: bytes) -> bytes:
        """Store a step's result under the lease, and return it as it is stored: without the job's secrets.

        Raises:
            LeaseLostError: The job is another worker's.
        """
        if self.stop is Stop.LEASE_LOST:
            raise LeaseLostError(f"job {self.id}: its lease was lost, so the step {name!r} was not stored")
        value = redact_json(value, self.secrets)
        await self._desk.save_step(self, msgspec.json.encode([name, msgspec.Raw(value)]))
        return value

    async def report(self, fraction: float, message: str) -> None:
        """Take a progress report."""
        if self.secrets:
            message = redact(message, self.secrets)
        # Cut last, so that no secret is cut in half and slips through.
        self.keep_progress(msgspec.json.encode([round(fraction, 4), message[:MAX_PROGRESS_TEXT]]))

    async def enqueue(self, queue: str, payload: object, options: Mapping[str, object]) -> str:
        """Enqueue a job of this job."""
        return await self._desk.enqueue(self, queue, payload, options)

    def resource(self, kind: type[object]) -> object:
        """A resource of the plugin."""
        return self._desk.resource(self, kind)

    def keep_progress(self, progress: bytes) -> None:
        """Keep a progress report with the job, as JSON."""
        self.progress = progress
        self.spoke = True
        self._desk.noted(self)

    def keep_line(self, line: bytes) -> None:
        """Keep a log line with the job; called on a plain handler's own thread too."""
        if self.logs is None:
            self.logs = deque()
        if len(self.logs) < MAX_LOG_LINES:
            self.logs.append(line)
            self.spoke = True
            self._desk.noted(self)

    def take_notes(self) -> tuple[bytes | None, list[bytes]]:
        """The progress and the log lines that nobody has written yet; a thread may be adding more meanwhile."""
        progress, self.progress = self.progress, None
        lines: list[bytes] = []
        while self.logs:
            lines.append(self.logs.popleft())
        return progress, lines

    @property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        """The job's logger, made when it is first asked for."""
        if self._log is None:
            self._log = self._desk.logger(self)
        return self._log
