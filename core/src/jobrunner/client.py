"""Producers: enqueueing for those who await and for those who do not.

Both do the same things in the same order; what they share is pure and lies in `drafting`. An enqueue whose answer
was lost is sent again with the same id for up to a minute, so it is one job.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from jobrunner.backoff import reconnect_delay
from jobrunner.drafting import Draft, Options, Payload
from jobrunner.errors import (
    ConflictError,
    JobrunnerError,
    OutcomeUnknownError,
    QueueFullError,
    StoreError,
    StoreUnavailableError,
)
from jobrunner.events import JobEnqueued
from jobrunner.factory import Factory
from jobrunner.handle import JobHandle, SyncJobHandle
from jobrunner.observers import Observers
from jobrunner.plugins import Plugins, load
from jobrunner.queuebook import QueueBook
from jobrunner.settings import core_settings
from jobrunner.store import calls, looks
from jobrunner.store.address import from_environment
from jobrunner.store.calls import MAX_ENQUEUE, Enqueued
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.store import Store, SyncStore

T = TypeVar("T")

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


class _Producer:
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
        if job_ids is None:
            return [self._book.draft(queue, payload, options) for payload in payloads]
        listed = list(payloads)
        if len(listed) != len(job_ids):
            raise ValueError(
                f"there are {len(listed)} payloads and {len(job_ids)} job ids; give one for each"
            )
        return [
            self._book.draft(queue, payload, options, job_id=job_id)
            for payload, job_id in zip(listed, job_ids, strict=True)
        ]

    def _wait(self, error: StoreError, failures: int, begun: float) -> float:
        """Seconds until a call that failed is sent again; raises it where it has been for long enough."""
        if time.monotonic() - begun >= self._retry_for:
            raise error
        return 0.0 if failures == 1 and isinstance(error, OutcomeUnknownError) else reconnect_delay(failures)


class Client(_Producer):
    """Enqueues jobs, for those who await. Used on one event loop; not carried over a fork.

    Args:
        store: Where to.
        plugins: The queues that are known here; others are enqueued by name.
        retry_for: Seconds for which an enqueue is sent again while the store is away.
    """

    def __init__(self, store: Store, plugins: Plugins, *, retry_for: float = RESEND_S) -> None:
        super().__init__(plugins, retry_for=retry_for)
        self.store = store

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, retry_for: float = RESEND_S) -> Self:
        """Make a client from `REDIS_URL` (or `REDIS_HOST` ...), `JOBRUNNER_PREFIX` and `JOBRUNNER_PLUGINS`.

        Raises:
            SettingsError: A variable has a value that cannot be used.
            PluginError: A plugin that was named cannot be loaded.
        """
        environ = os.environ if environ is None else environ
        settings = core_settings(environ)
        plugins = load(settings.plugins, environ, strict=settings.plugins is not None)
        return cls(open_store(from_environment(environ), settings.prefix), plugins, retry_for=retry_for)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.store.close()

    async def enqueue(
        self,
        queue: str,
        payload: Payload,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue one job.

        Args:
            queue: The queue's name.
            payload: A Struct of the queue's type, or a map in either spelling (`tenant_id`, `tenantId`).
            delay: Seconds before it may start.
            at: An aware time before which it does not start, by the store's clock.
            priority: 0 to 100, higher first; None takes the queue's.
            job_id: Makes the call idempotent: the same id and payload again is the same job.
            tenant: Whose job it is, where the payload does not say.
            headers: Put beside the payload.

        Returns:
            The job's handle; `created` is False where the job was there before.

        Raises:
            PayloadError: The payload does not fit the queue; nothing was sent.
            ConflictError: A job of that id has another payload.
            QueueFullError: The queue is at its cap.
            UnknownQueueError: No plugin declares the queue and no worker has served it.
            StoreError: The store did not take it, or its answer was lost for a minute.
        """
        options = Options(
            delay=delay, at=at, priority=priority, job_id=job_id, tenant=tenant, headers=headers
        )
        return await self.enqueue_with(queue, payload, options)

    async def enqueue_with(self, queue: str, payload: Payload, options: Options) -> JobHandle:
        """Enqueue one job with its options in one value; see `enqueue`."""
        if not self._book.knows(queue):
            await self._learn(queue)
        draft = self._book.draft(queue, payload, options)
        known = await self._send([draft])
        return JobHandle(self.store, draft.job.id, queue, created=draft.job.id not in known)

    async def enqueue_many(
        self,
        queue: str,
        payloads: Iterable[Payload],
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        job_ids: Sequence[str] | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[JobHandle]:
        """Enqueue any number of jobs, in batches that are each taken whole or not at all.

        All payloads are checked before the first is sent. The arguments are those of `enqueue`; `job_ids` gives
        each job its id.

        Returns:
            A handle a payload, in their order.

        Raises:
            PayloadError: A payload does not fit; nothing was sent.
            BatchError: The store refused a batch; it says how many jobs went in before.
        """
        options = Options(delay=delay, at=at, priority=priority, tenant=tenant, headers=headers)
        if not self._book.knows(queue):
            await self._learn(queue)
        handles: list[JobHandle] = []
        for batch in batches(self._drafts(queue, payloads, options, job_ids)):
            try:
                known = await self._send(batch)
            except JobrunnerError as error:
                raise BatchError(error, len(handles)) from error
            handles += [
                JobHandle(self.store, draft.job.id, queue, created=draft.job.id not in known)
                for draft in batch
            ]
        return handles

    def handle(self, queue: str, job_id: str) -> JobHandle:
        """The handle of a job that was enqueued before, for its result."""
        return JobHandle(self.store, job_id, queue, created=False)

    def __getattr__(self, name: str) -> Factory[JobHandle]:
        if name.startswith("_") or "plugins" not in self.__dict__:
            raise AttributeError(name)
        return Factory(self.plugins, name, self.enqueue)

    async def _learn(self, queue: str) -> None:
        keys = self.store.fleet
        declared = await self._retried(looks.declared(keys, queue))
        schema = await self._retried(looks.schemas(keys, queue)) if declared else None
        self._book.learn(queue, declared, schema)

    async def _send(self, drafts: Sequence[Draft]) -> set[str]:
        return self._answer(drafts, await self._retried(self._call(self.store, drafts)))

    async def _retried(self, call: calls.Call[T]) -> T:
        begun, failures = time.monotonic(), 0
        while True:
            try:
                return await self.store.run(call)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                failures += 1
                await asyncio.sleep(self._wait(error, failures, begun))


class SyncClient(_Producer):
    """Enqueues jobs, for those who do not await. Thread-safe; not carried over a fork.

    Args:
        store: Where to.
        plugins: The queues that are known here; others are enqueued by name.
        retry_for: Seconds for which an enqueue is sent again while the store is away.
    """

    def __init__(self, store: SyncStore, plugins: Plugins, *, retry_for: float = RESEND_S) -> None:
        super().__init__(plugins, retry_for=retry_for)
        self.store = store

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, retry_for: float = RESEND_S) -> Self:
        """Make a client from the environment; see `Client.from_env`."""
        environ = os.environ if environ is None else environ
        settings = core_settings(environ)
        plugins = load(settings.plugins, environ, strict=settings.plugins is not None)
        return cls(open_sync_store(from_environment(environ), settings.prefix), plugins, retry_for=retry_for)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.store.close()

    def enqueue(
        self,
        queue: str,
        payload: Payload,
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> SyncJobHandle:
        """Enqueue one job; see `Client.enqueue`."""
        options = Options(
            delay=delay, at=at, priority=priority, job_id=job_id, tenant=tenant, headers=headers
        )
        return self.enqueue_with(queue, payload, options)

    def enqueue_with(self, queue: str, payload: Payload, options: Options) -> SyncJobHandle:
        """Enqueue one job with its options in one value; see `Client.enqueue`."""
        self.learn(queue)
        draft = self._book.draft(queue, payload, options)
        known = self._send([draft])
        return SyncJobHandle(self.store, draft.job.id, queue, created=draft.job.id not in known)

    def enqueue_many(
        self,
        queue: str,
        payloads: Iterable[Payload],
        *,
        delay: float | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        job_ids: Sequence[str] | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[SyncJobHandle]:
        """Enqueue any number of jobs; see `Client.enqueue_many`."""
        options = Options(delay=delay, at=at, priority=priority, tenant=tenant, headers=headers)
        self.learn(queue)
        handles: list[SyncJobHandle] = []
        for batch, known in self._sent(self._drafts(queue, payloads, options, job_ids)):
            handles += [
                SyncJobHandle(self.store, draft.job.id, queue, created=draft.job.id not in known)
                for draft in batch
            ]
        return handles

    def learn(self, queue: str) -> None:
        """Find out what is to be known of a queue, from a plugin here or from what workers declared.

        Raises:
            UnknownQueueError: Nobody knows it.
        """
        if self._book.knows(queue):
            return
        keys = self.store.fleet
        declared = self._retried(looks.declared(keys, queue))
        schema = self._retried(looks.schemas(keys, queue)) if declared else None
        self._book.learn(queue, declared, schema)

    def draft(self, queue: str, payload: Payload, options: Options) -> Draft:
        """Check a job without sending it.

        Raises:
            PayloadError: The payload or an option does not fit.
        """
        self.learn(queue)
        return self._book.draft(queue, payload, options)

    def send_drafts(self, drafts: Sequence[Draft]) -> Iterator[tuple[int, int]]:
        """Send jobs of one queue that were checked before: for each batch how many are new, and how many it had.

        Raises:
            BatchError: The store refused a batch; it says how many jobs went in before.
        """
        for batch, known in self._sent(drafts):
            yield len(batch) - len(known), len(batch)

    def _sent(self, drafts: Sequence[Draft]) -> Iterator[tuple[list[Draft], set[str]]]:
        done = 0
        for batch in batches(drafts):
            try:
                known = self._send(batch)
            except JobrunnerError as error:
                raise BatchError(error, done) from error
            done += len(batch)
            yield batch, known

    def handle(self, queue: str, job_id: str) -> SyncJobHandle:
        """The handle of a job that was enqueued before, for its result."""
        return SyncJobHandle(self.store, job_id, queue, created=False)

    def __getattr__(self, name: str) -> Factory[SyncJobHandle]:
        if name.startswith("_") or "plugins" not in self.__dict__:
            raise AttributeError(name)
        return Factory(self.plugins, name, self.enqueue)

    def _send(self, drafts: Sequence[Draft]) -> set[str]:
        return self._answer(drafts, self._retried(self._call(self.store, drafts)))

    def _retried(self, call: calls.Call[T]) -> T:
        begun, failures = time.monotonic(), 0
        while True:
            try:
                return self.store.run(call)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                failures += 1
                time.sleep(self._wait(error, failures, begun))


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
