"""What attempts ask their worker for, put together: notes, resources, loggers, and jobs of jobs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from jobrunner.client import Client
from jobrunner.drafting import Options, Payload
from jobrunner.logs import Logger, Logs
from jobrunner.names import MAX_JOB_ID
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.notes import Notes
from jobrunner.worker.resources import Resources


class WorkerDesk:
    """The desk of a worker.

    Args:
        notes: Writes what jobs have to say.
        resources: The plugins' resources.
        logs: Where lines go.
        client: Enqueues jobs of jobs.
        worker_id: For log lines.
    """

    def __init__(
        self, notes: Notes, resources: Resources, logs: Logs, client: Client, worker_id: str
    ) -> None:
        self._notes = notes
        self._resources = resources
        self._logs = logs
        self._client = client
        self._worker_id = worker_id

    async def load_steps(self, attempt: Attempt) -> dict[str, bytes]:
        """The durable steps of earlier attempts."""
        return await self._notes.load_steps(attempt)

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Store a step."""
        await self._notes.save_step(attempt, line)

    async def enqueue(
        self, attempt: Attempt, queue: str, payload: object, options: Mapping[str, object]
    ) -> str:
        """Enqueue a job of a job; its tenant is the parent's unless another is given or the payload names one."""
        given = Options(
            delay=cast("float | None", options.get("delay")),
            at=cast("datetime | None", options.get("at")),
            priority=cast("int | None", options.get("priority")),
            job_id=child_id(attempt.id, cast("str", options["place"])),
            tenant=cast("str | None", options.get("tenant")),
            headers=cast("Mapping[str, str] | None", options.get("headers")),
            parent_tenant=attempt.tenant,
        )
        handle = await self._client.enqueue_with(queue, cast("Payload", payload), given)
        return handle.id

    def noted(self, attempt: Attempt) -> None:
        """The attempt has progress or log lines to write."""
        self._notes.add(attempt)

    def resource(self, attempt: Attempt, kind: type[object]) -> object:
        """A resource of the plugin that declares the attempt's queue."""
        return self._resources.get(attempt.plugin, kind)

    def logger(self, attempt: Attempt) -> Logger:
        """A logger bound to the attempt."""
        return attempt_logger(self._logs, attempt, self._worker_id)


def attempt_logger(logs: Logs, attempt: Attempt, worker_id: str) -> Logger:
    """A logger whose lines carry the attempt's keys and are kept with the job."""
    facts: dict[str, object] = {
        "logger": "handler",
        "queue": attempt.queue.name,
        "plugin": attempt.plugin,
        "job_id": attempt.id,
        "tenant": attempt.tenant,
        "attempt": attempt.number,
        "worker_id": worker_id,
    }
    if attempt.trace_id:
        facts["trace_id"] = attempt.trace_id
    return logs.job_logger(facts, secrets=attempt.secrets, keep=attempt.keep_line)


def child_id(parent: str, place: str) -> str:
    """The id of the job that a job enqueues at a place, such as `2`: the same in every attempt."""
    plain = f"{parent}.{place}"
    if len(plain) <= MAX_JOB_ID - 32:  # room for children of its own
        return plain
    return f"{hashlib.sha256(plain.encode()).hexdigest()[:40]}.{place}"
