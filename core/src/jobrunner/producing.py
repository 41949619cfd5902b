"""What both producers share: how a call is made, what its answer means, when it is sent again. It neither sends nor waits."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from jobrunner.backoff import reconnect_delay
from jobrunner.drafting import Draft, Options, Payload
from jobrunner.errors import ConflictError, JobrunnerError, OutcomeUnknownError, QueueFullError, StoreError
from jobrunner.events import JobEnqueued
from jobrunner.observers import Observers
from jobrunner.plugins import Plugins
from jobrunner.queuebook import QueueBook
from jobrunner.store import calls
from jobrunner.store.calls import MAX_ENQUEUE, Enqueued
from jobrunner.store.store import Store, SyncStore

RESEND_S = 60.0
"""Seconds for which an enqueue is sent again; well under the 120 s for which a trimmed id is remembered."""

MAX_BATCH_BYTES = 4 << 20
"""Bytes that one batch of an `enqueue_many` sends at the most."""


class BatchError(JobrunnerError):
    """An `enqueue_many` ended early. What went in before it stays in.

    Attributes:
        enqueued: How many jobs went in.
    """

    def __init__(self, cause: JobrunnerError, enqueued: int) -> None:
        super().__init__(f"{cause} ({enqueued:,} jobs went in before)")
        self.enqueued = enqueued
        self.exit_status = cause.exit_status  # type: ignore[misc]  # as the cause's


class Producer:
    """What both clients share."""

    def __init__(self, plugins: Plugins, *, retry_for: float) -> None:
        self.plugins = plugins
        self._book = QueueBook(plugins)
        self._retry_for = retry_for
        self._observers = Observers(
            (plugin.name, function)  # type: ignore[misc]  # an implementation of jobrunner_event
            for plugin, function in plugins.implementing("jobrunner_event")
        )

    def _answer(self, drafts: Sequence[Draft], answer: Enqueued) -> set[str]:
        """The ids that were there before; raises what the store refused."""
        queue = drafts[0].queue
        if answer.status == "conflict":
            raise ConflictError(queue, answer.ids)
        if answer.status == "full":
            raise QueueFullError(queue, answer.waiting, self._book.declared(queue).max_waiting)
        known = set(answer.ids)
        if self._observers.wants(JobEnqueued):
            owner = self.plugins.owner(queue)
            for draft in drafts:
                self._observers.tell(
                    JobEnqueued(
                        timestamp=self._observers.now(),
                        queue=queue,
                        plugin=owner.name if owner else "",
                        job_id=draft.job.id,
                        tenant=draft.tenant,
                        priority=draft.priority,
                        delay_ms=draft.delay_ms,
                        created=draft.job.id not in known,
                    )
                )
        return known

    def _call(self, store: Store | SyncStore, drafts: Sequence[Draft]) -> calls.Call[Enqueued]:
        queue = drafts[0].queue
        jobs = [draft.job for draft in drafts]
        return calls.enqueue(store.keys(queue), jobs, self._book.declared(queue).max_waiting)

    def _drafts(
        self, queue: str, payloads: Iterable[Payload], options: Options, job_ids: Sequence[str] | None
    ) -> list[Draft]:
        draft = self._book.drafter(queue, options).draft
        if job_ids is None:
            return [draft(payload) for payload in payloads]
        listed = list(payloads)
        if len(listed) != len(job_ids):
            raise ValueError(
                f"there are {len(listed)} payloads and {len(job_ids)} job ids; give one for each"
            )
        return [draft(payload, job_id) for payload, job_id in zip(listed, job_ids, strict=True)]

    def _wait(self, error: StoreError, failures: int, begun: float) -> float:
        """Seconds until a call that failed is sent again; raises it where it has been for long enough."""
        if time.monotonic() - begun >= self._retry_for:
            raise error
        return 0.0 if failures == 1 and isinstance(error, OutcomeUnknownError) else reconnect_delay(failures)


def confirmed(answer: Enqueued, copies: int) -> Enqueued:
    """An answer whose writes a replica has.

    Raises:
        OutcomeUnknownError: None has confirmed them in time.
    """
    if answer.status == "ok" and not copies:
        raise OutcomeUnknownError(
            "unknown whether the job would survive its primary: no replica confirmed it in time; the primary has it, "
            "and sending it again with the same job id is safe"
        )
    return answer


def batches(drafts: Sequence[Draft]) -> Iterable[list[Draft]]:
    """Cut a list into batches that the store takes: by number and by bytes."""
    batch: list[Draft] = []
    size = 0
    for one in drafts:
        length = len(one.job.record)
        if batch and (len(batch) >= MAX_ENQUEUE or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
