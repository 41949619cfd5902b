"""The desk of an attempt that no worker runs: what its handler asks for is answered and written down.

Steps, progress and lines go through the same encoding as in a worker. It holds no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

import msgspec

from jobrunner.declaration import Declaration
from jobrunner.drafting import DUE_HEADER, Draft, Options, Payload, draft
from jobrunner.errors import StepError
from jobrunner.logs import Logger, Logs
from jobrunner.plugins import Plugins
from jobrunner.queuebook import QueueBook
from jobrunner.record import decode_record
from jobrunner.testing.crashing import Crashes, step_name
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.desk import attempt_logger, child_id
from jobrunner.worker.notes import MAX_STEPS
from jobrunner.worker.resources import Resources


class EnqueuedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a handler enqueued.

    Attributes:
        payload: A Struct of the queue's type where its plugin is loaded, else the plain map that was sent.
        tenant: Whose job it is: the parent's, unless the payload or the handler named another.
        delay: Seconds before it may start, as asked.
        headers: What hooks and the handler put beside the payload.
    """

    id: str
    queue: str
    payload: object
    tenant: str
    priority: int
    delay: float
    headers: dict[str, str]


class PerformDesk:
    """What an attempt is given by `perform_job`.

    Args:
        plugins: The queues that are known.
        resources: What handlers may ask for.
        logs: Where lines go.
        steps: The steps of earlier attempts, name -> JSON.
        crashes: Where the attempt is to die.
    """

    def __init__(
        self,
        plugins: Plugins,
        resources: Resources,
        logs: Logs,
        steps: Mapping[str, bytes],
        crashes: Crashes,
    ) -> None:
        self.book = QueueBook(plugins)
        self.steps = dict(steps)
        self.done: list[str] = []
        self.progress: list[tuple[float, str]] = []
        self.lines: list[bytes] = []
        self.enqueued: list[EnqueuedJob] = []
        self._plugins = plugins
        self._resources = resources
        self._logs = logs
        self._crashes = crashes
        self._size = sum(len(name) + len(value) + 5 for name, value in steps.items())

    async def load_steps(self, attempt: Attempt) -> dict[str, bytes]:
        """The durable steps of earlier attempts."""
        del attempt
        return dict(self.steps)

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Keep a step.

        Raises:
            StepError: The job's steps are full.
        """
        await self._crashes.reached(attempt, f"effect:{step_name(line)}")
        self._size += len(line) + 1
        if self._size > MAX_STEPS:
            raise StepError(
                f"job {attempt.id}: its steps hold more than {MAX_STEPS:,} bytes; store references instead"
            )
        name, value = msgspec.json.decode(line, type=tuple[str, msgspec.Raw])
        self.steps[name] = bytes(value)
        self.done.append(name)
        await self._crashes.reached(attempt, f"step:{name}")

    async def enqueue(
        self, attempt: Attempt, queue: str, payload: object, options: Mapping[str, object]
    ) -> str:
        """Check a job of a job as a producer would, and write it down."""
        given = Options(
            delay=cast("float | None", options.get("delay")),
            at=cast("datetime | None", options.get("at")),
            priority=cast("int | None", options.get("priority")),
            job_id=child_id(attempt.id, cast("str", options["place"])),
            tenant=cast("str | None", options.get("tenant")),
            headers=cast("Mapping[str, str] | None", options.get("headers")),
            parent_tenant=attempt.tenant,
        )
        if self.book.knows(queue):
            made = self.book.drafter(queue, given).draft(cast("Payload", payload))
        else:  # a queue of a plugin that is not here: all that can be checked is that it can be sent
            made = draft(Declaration(name=queue), cast("Payload", payload), given)
        self.enqueued.append(self._written_down(made))
        await self._crashes.reached(attempt, f"enqueue:{queue}")
        return made.id

    def _written_down(self, made: Draft) -> EnqueuedJob:
        record = decode_record(b"[0," + made.record)
        record = self._plugins.keyring.opened(record, made.queue, made.id)
        owner = self._plugins.owner(made.queue)
        payload = (
            owner.queues[made.queue].codec.decode(record.payload)
            if owner
            else msgspec.json.decode(record.payload)
        )
        return EnqueuedJob(
            id=made.id,
            queue=made.queue,
            payload=payload,
            tenant=made.tenant,
            priority=made.priority,
            delay=made.delay_ms / 1000,
            headers={name: value for name, value in (record.headers or {}).items() if name != DUE_HEADER},
        )

    def noted(self, attempt: Attempt) -> None:
        """Take what the attempt has to say."""
        if attempt.progress is not None:
            self.progress.append(msgspec.json.decode(attempt.progress, type=tuple[float, str]))
            attempt.progress = None
        if attempt.logs:
            lines, attempt.logs = attempt.logs, None
            self.lines += lines

    def resource(self, attempt: Attempt, kind: type[object]) -> object:
        """A resource of the plugin."""
        return self._resources.get(attempt.plugin, kind)

    def logger(self, attempt: Attempt) -> Logger:
        """A logger bound to the attempt."""
        return attempt_logger(self._logs, attempt, "perform_job")
