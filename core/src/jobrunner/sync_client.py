"""The producer for those who do not await: as `client`, over blocking connections."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from jobrunner.drafting import Draft, Drafter, Durability, Options, Payload
from jobrunner.errors import JobrunnerError, OutcomeUnknownError, QueueFullError, StoreUnavailableError
from jobrunner.factory import Factory
from jobrunner.handle import SyncJobHandle
from jobrunner.plugins import Plugins, load
from jobrunner.producing import NO_WAIT, RESEND_S, BatchError, Producer, Room, confirmed
from jobrunner.settings import core_settings
from jobrunner.store import calls, looks
from jobrunner.store.address import from_environment
from jobrunner.store.answers import Enqueued
from jobrunner.store.connect import open_sync_store
from jobrunner.store.store import SyncStore

T = TypeVar("T")


class SyncClient(Producer):
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
        unique: str | None = None,
        wait: float | None = None,
        durability: Durability | None = None,
    ) -> SyncJobHandle:
        """Enqueue one job; see `Client.enqueue`."""
        options = Options(
            delay=delay,
            at=at,
            priority=priority,
            job_id=job_id,
            tenant=tenant,
            headers=headers,
            unique=unique,
            durability=durability,
        )
        return self.enqueue_with(queue, payload, options, wait=wait)

    def enqueue_with(
        self, queue: str, payload: Payload, options: Options, *, wait: float | None = None
    ) -> SyncJobHandle:
        """Enqueue one job with its options in one value; see `Client.enqueue`."""
        room = NO_WAIT if wait is None else Room(wait)
        drafter = self._book.usual(queue, options) or self._drafter(queue, options)
        draft = drafter.draft(payload)
        alone = self._call_alone(self.store, draft)
        since = None
        if alone is not None:
            begun = time.monotonic()
            try:
                answer = self.store.run(alone)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                time.sleep(self._wait(error, 1, begun))
                since = begun  # the long way tells whether it got in
            else:
                if self._is_in(draft, answer):
                    return SyncJobHandle(draft.id, queue, True, self.store)
        known = self._send([draft], room, options.durability, since)
        return self._handle(queue, draft, known)

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
        wait: float | None = None,
        durability: Durability | None = None,
    ) -> list[SyncJobHandle]:
        """Enqueue any number of jobs; see `Client.enqueue_many`."""
        room = Room(wait)
        options = Options(
            delay=delay, at=at, priority=priority, tenant=tenant, headers=headers, durability=durability
        )
        self.learn(queue)
        handles: list[SyncJobHandle] = []
        drafts = self._drafts(queue, payloads, options, job_ids)
        for batch, known in self._sent(queue, drafts, room, durability):
            handles += [self._handle(queue, draft, known) for draft in batch]
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
        return self._drafter(queue, options).draft(payload)

    def _drafter(self, queue: str, options: Options) -> Drafter:
        self.learn(queue)
        return self._book.drafter(queue, options)

    def send_drafts(self, drafts: Sequence[Draft], *, wait: float | None = None) -> Iterator[tuple[int, int]]:
        """Send jobs of one queue that were checked before: for each batch how many are new, and how many it had.

        Raises:
            BatchError: The store refused a batch; it says how many jobs went in before.
        """
        if not drafts:
            return
        for batch, known in self._sent(drafts[0].queue, drafts, Room(wait)):
            yield len(batch) - len(known), len(batch)

    def send_batch(self, drafts: Sequence[Draft], *, wait: float | None = None) -> dict[str, str]:
        """Send jobs of one queue that were checked before: all of them are taken in, or none is.

        Args:
            drafts: 1 to `MAX_ENQUEUE` jobs.
            wait: Seconds to wait for room where the queue is full, up to a day; None raises at once.

        Returns:
            The ids that were not taken in, each with the job that is there instead: itself, from before, or the one that has
            its unique key.

        Raises:
            ConflictError: Jobs of some of the ids are there with another payload.
            QueueFullError: The queue has no room for them, and none was made in time.
            OutcomeUnknownError: Their answer was lost for a minute; they may be there.
            StoreError: The store did not take them.
        """
        return self._send(drafts, Room(wait))

    def _sent(
        self, queue: str, drafts: Iterable[Draft], room: Room, durability: Durability | None = None
    ) -> Iterator[tuple[list[Draft], dict[str, str]]]:
        done = 0
        for batch in self._batches(queue, drafts, room):
            try:
                known = self._send(batch, room, durability)
            except JobrunnerError as error:
                raise BatchError(error, done) from error
            done += len(batch)
            yield batch, known

    def _handle(self, queue: str, draft: Draft, known: Mapping[str, str]) -> SyncJobHandle:
        job_id = draft.id
        return SyncJobHandle(known.get(job_id, job_id), queue, job_id not in known, self.store)

    def handle(self, queue: str, job_id: str) -> SyncJobHandle:
        """The handle of a job that was enqueued before, for its result."""
        return SyncJobHandle(job_id, queue, False, self.store)

    def __getattr__(self, name: str) -> Factory[SyncJobHandle]:
        if name.startswith("_") or "plugins" not in self.__dict__:
            raise AttributeError(name)
        return Factory(self.plugins, name, self.enqueue)

    def _send(
        self,
        drafts: Sequence[Draft],
        room: Room,
        durability: Durability | None = None,
        since: float | None = None,
    ) -> dict[str, str]:
        call = self._call(self.store, drafts)
        run = self._replicated(drafts[0].queue) if durability == "replicated" else self.store.run
        while True:
            answer = self._retried(call, run, since)
            since = None
            try:
                return self._answer(drafts, answer)
            except QueueFullError as full:
                pause = room.pause(full)
            time.sleep(pause)

    def _replicated(self, queue: str) -> Callable[[calls.Call[Enqueued]], Enqueued]:
        mark = calls.mark(self.store.keys(queue))

        def run(call: calls.Call[Enqueued]) -> Enqueued:
            return confirmed(*self.store.run_replicated(call, mark))

        return run

    def _retried(
        self,
        call: calls.Call[T],
        run: Callable[[calls.Call[T]], T] | None = None,
        since: float | None = None,
    ) -> T:
        """Run a call, again and again while the store is away; `since` is when another way to the same end failed first."""
        begun, failures = (time.monotonic(), 0) if since is None else (since, 1)
        while True:
            try:
                return (run or self.store.run)(call)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                failures += 1
                time.sleep(self._wait(error, failures, begun))
