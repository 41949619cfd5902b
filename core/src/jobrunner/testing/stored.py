"""A job as it stands in the store, whole, for tests to look at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

import msgspec

from jobrunner.drafting import DUE_HEADER
from jobrunner.errors import JobNotFoundError
from jobrunner.model import State
from jobrunner.plugins import Plugins
from jobrunner.record import (
    AttemptError,
    Crash,
    Dated,
    Note,
    Result,
    decode_counts,
    decode_journal,
    decode_record,
)
from jobrunner.store import looks
from jobrunner.store.store import SyncStore
from jobrunner.testing import expecting


class StoredJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job in the store.

    Attributes:
        state: Where it stands; compares equal to its name, such as `"failed"`.
        payload: A Struct of the queue's type where its plugin is loaded and the version is its own, else a map.
        attempts: Attempts that ended in an error or a result; snoozes and crashes are not among them.
        crashes: Times that its worker was lost.
        due: When it may start, in UTC, where it is delayed; else None.
        result: What the handler returned, as plain maps and lists.
        errors: The errors of its attempts, oldest first.
        reason: Why it was last snoozed, parked or cancelled; empty where nothing was said.
        steps: Its durable steps by name, plain.
        progress: The last report, as a fraction and a message.
        logs: The lines that are kept with it.
    """

    id: str
    queue: str
    state: State
    tenant: str
    priority: int
    payload: object
    headers: dict[str, str]
    enqueued_at: datetime
    attempts: int
    crashes: int
    due: datetime | None
    result: object
    errors: list[AttemptError]
    reason: str
    steps: dict[str, object]
    progress: tuple[float, str] | None
    logs: list[dict[str, object]]

    def expect(self, state: State | str) -> Self:
        """Return this if the job is in that state.

        Raises:
            AssertionError: It is in another one; the message says which, and why.
        """
        if self.state == state:
            return self
        last = self.errors[-1] if self.errors else None
        told = f"{last.error_type}: {last.message}" if last else self.reason
        facts = f"after {self.attempts} attempts and {self.crashes} crashes"
        raise AssertionError(
            f"job {self.id} of {self.queue} was to be {state}, and is {self.state} {facts}{told and f': {told}'}"
        )

    def expect_log(self, event: str, *, level: str | None = None, **keys: object) -> dict[str, object]:
        """Return the first line of an event that has these keys.

        Args:
            event: What was logged, as in `job.log.info(event)`.
            level: `debug`, `info`, `warning`, `error` or `critical`; None is any.
            **keys: Keys of the line and their values.

        Raises:
            AssertionError: There is none; the message says what there is.
        """
        return expecting.expect_log(self.logs, event, level, keys)

    def expect_progress(self, fraction: float | None = None, message: str | None = None) -> tuple[float, str]:
        """Return the first progress report with this fraction, 0 to 1, and this message.

        Raises:
            AssertionError: There is none; the message says what there is.
        """
        return expecting.expect_progress([self.progress] if self.progress else [], fraction, message)


def read_job(store: SyncStore, plugins: Plugins, queue: str, job_id: str) -> StoredJob:
    """Read one job.

    Raises:
        JobNotFoundError: It is not there, or not any more.
    """
    found = looks.found(store.run_many(looks.job(store.keys(queue), job_id)))
    state = found.state
    if found.record is None or state is None:
        raise JobNotFoundError(f"{queue} has no job {job_id}; it may have been trimmed when the clock moved")
    record, counts, journal = (
        plugins.keyring.opened(decode_record(found.record), queue, job_id),
        decode_counts(found.attempts),
        decode_journal(found.journal),
    )
    owner = plugins.owner(queue)
    known = owner is not None and owner.queues[queue].version == record.version
    errors = [dated.entry for dated in journal if isinstance(dated.entry, AttemptError)]
    return StoredJob(
        id=job_id,
        queue=queue,
        state=state,
        tenant=record.tenant,
        priority=record.priority,
        payload=owner.queues[queue].codec.decode(record.payload)
        if owner and known
        else msgspec.json.decode(record.payload),
        headers={name: value for name, value in (record.headers or {}).items() if name != DUE_HEADER},
        enqueued_at=_at(record.at_ms),
        attempts=counts.errors + (state is State.COMPLETED),
        crashes=counts.crashes,
        due=_at(found.scores[state]) if state is State.DELAYED else None,
        result=_result(journal),
        errors=errors,
        reason=_reason(journal),
        steps=_steps(found.steps),
        progress=_progress(found.progress),
        logs=[msgspec.json.decode(line) for line in (found.logs or b"").splitlines()],
    )


def read_jobs(store: SyncStore, plugins: Plugins, queue: str, state: State) -> Iterator[StoredJob]:
    """Read all jobs of a state: waiting and delayed in the order they will run, the others newest first."""
    start = 0
    while page := store.run(looks.page(store.keys(queue), state, start=start, limit=looks.MAX_PAGE)):
        for job_id, _ in page:
            yield read_job(store, plugins, queue, job_id)
        start += len(page)


def _at(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _result(journal: list[Dated]) -> object:
    results = [dated.entry for dated in journal if isinstance(dated.entry, Result)]
    return msgspec.json.decode(results[-1].value) if results else None


def _reason(journal: list[Dated]) -> str:
    last = journal[-1].entry if journal else None
    match last:
        case Note(reason=reason):
            return reason
        case Crash(worker=worker):
            return f"its worker was lost: {worker}"
        case _:
            return ""


def _steps(raw: bytes | None) -> dict[str, object]:
    steps: dict[str, object] = {}
    for line in (raw or b"").splitlines():
        name, value = msgspec.json.decode(line, type=tuple[str, object])
        steps.setdefault(name, value)
    return steps


def _progress(raw: bytes | None) -> tuple[float, str] | None:
    if raw is None:
        return None
    return msgspec.json.decode(raw.partition(b" ")[2], type=tuple[float, str])
