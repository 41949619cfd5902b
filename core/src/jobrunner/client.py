"""The producer for those who await.

An enqueue whose answer was lost is sent again with the same id for up to a minute, so it is one job.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

from jobrunner.drafting import Draft, Drafter, Durability, Options, Payload
from jobrunner.errors import JobrunnerError, OutcomeUnknownError, QueueFullError, StoreUnavailableError
from jobrunner.factory import Factory
from jobrunner.handle import JobHandle
from jobrunner.plugins import Plugins, load
from jobrunner.producing import NO_WAIT, RESEND_S, BatchError, Producer, Room, confirmed
from jobrunner.settings import core_settings
from jobrunner.store import calls, looks
from jobrunner.store.address import from_environment
from jobrunner.store.answers import Enqueued
from jobrunner.store.connect import open_store
from jobrunner.store.store import Store

T = TypeVar("T")


class Client(Producer):
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
        unique: str | None = None,
        wait: float | None = None,
        durability: Durability | None = None,
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
            unique: A key that is the job's until it ends; while another job of the tenant has it, this one is not taken in.

            wait: Seconds to wait for room where the queue is full, up to a day; None raises at once.
            durability: `"replicated"` waits until a replica has the job too; what cannot be confirmed is an error.

        Returns:
            The job's handle; `created` is False where the job was there before, or another has its unique key: then it is
            that one's handle.

        Raises:
            PayloadError: The payload does not fit the queue; nothing was sent.
            ConflictError: A job of that id has another payload.
            QueueFullError: The queue is at its cap, and no room was made in time.
            UnknownQueueError: No plugin declares the queue and no worker has served it.
            OutcomeUnknownError: Its answer was lost for a minute, or no replica confirmed it; it may be there.
            StoreError: The store did not take it.
        """
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
        return await self.enqueue_with(queue, payload, options, wait=wait)

    async def enqueue_with(
        self, queue: str, payload: Payload, options: Options, *, wait: float | None = None
    ) -> JobHandle:
        """Enqueue one job with its options in one value; see `enqueue`."""
        room = NO_WAIT if wait is None else Room(wait)
        drafter = self._book.usual(queue, options) or await self._drafter(queue, options)
        draft = drafter.draft(payload)
        alone = self._call_alone(self.store, draft)
        since = None
        if alone is not None:
            begun = time.monotonic()
            try:
                answer = await self.store.run(alone)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                await asyncio.sleep(self._wait(error, 1, begun))
                since = begun  # the long way tells whether it got in
            else:
                if self._is_in(draft, answer):
                    return JobHandle(draft.id, queue, True, self.store)
        known = await self._send([draft], room, options.durability, since)
        return self._handle(queue, draft, known)

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
        wait: float | None = None,
        durability: Durability | None = None,
    ) -> list[JobHandle]:
        """Enqueue any number of jobs, in batches that are each taken whole or not at all.

        All payloads are checked before the first is sent. The arguments are those of `enqueue`; `job_ids` gives
        each job its id, and `wait` is for all of them together.

        Returns:
            A handle a payload, in their order.

        Raises:
            PayloadError: A payload does not fit; nothing was sent.
            BatchError: The store refused a batch; it says how many jobs went in before.
        """
        room = Room(wait)
        options = Options(
            delay=delay, at=at, priority=priority, tenant=tenant, headers=headers, durability=durability
        )
        if not self._book.knows(queue):
            await self._learn(queue)
        batches = self._batches(queue, self._drafts(queue, payloads, options, job_ids), room)
        handles: list[JobHandle] = []
        batch, known = next(batches, None), dict[str, str]()
        before: list[Draft] = []  # the batch that went in before this one; `known` is the answer to it
        while batch:
            sending = asyncio.ensure_future(self._send(batch, room, options.durability))
            try:
                await asyncio.sleep(0)  # it goes out; what is done from here on is done while the store works
                handles += [self._handle(queue, draft, known) for draft in before]
                following = next(batches, None)
                known = await sending
            except JobrunnerError as error:
                raise BatchError(error, len(handles)) from error
            finally:
                sending.cancel()
            before = batch
            batch = following
        return handles + [self._handle(queue, draft, known) for draft in before]

    def _handle(self, queue: str, draft: Draft, known: Mapping[str, str]) -> JobHandle:
        job_id = draft.id
        return JobHandle(known.get(job_id, job_id), queue, job_id not in known, self.store)

    def handle(self, queue: str, job_id: str) -> JobHandle:
        """The handle of a job that was enqueued before, for its result."""
        return JobHandle(job_id, queue, False, self.store)

    def __getattr__(self, name: str) -> Factory[JobHandle]:
        if name.startswith("_") or "plugins" not in self.__dict__:
            raise AttributeError(name)
        return Factory(self.plugins, name, self.enqueue)

    async def _drafter(self, queue: str, options: Options) -> Drafter:
        if not self._book.knows(queue):
            await self._learn(queue)
        return self._book.drafter(queue, options)

    async def _learn(self, queue: str) -> None:
        keys = self.store.fleet
        declared = await self._retried(looks.declared(keys, queue))
        schema = await self._retried(looks.schemas(keys, queue)) if declared else None
        self._book.learn(queue, declared, schema)

    async def _send(
        self,
        drafts: Sequence[Draft],
        room: Room,
        durability: Durability | None = None,
        since: float | None = None,
    ) -> dict[str, str]:
        call = self._call(self.store, drafts)
        run = self._replicated(drafts[0].queue) if durability == "replicated" else self.store.run
        while True:
            answer = await self._retried(call, run, since)
            since = None
            try:
                return self._answer(drafts, answer)
            except QueueFullError as full:
                pause = room.pause(full)
            await asyncio.sleep(pause)

    def _replicated(self, queue: str) -> Callable[[calls.Call[Enqueued]], Awaitable[Enqueued]]:
        mark = calls.mark(self.store.keys(queue))

        async def run(call: calls.Call[Enqueued]) -> Enqueued:
            return confirmed(*await self.store.run_replicated(call, mark))

        return run

    async def _retried(
        self,
        call: calls.Call[T],
        run: Callable[[calls.Call[T]], Awaitable[T]] | None = None,
        since: float | None = None,
    ) -> T:
        """Run a call, again and again while the store is away; `since` is when another way to the same end failed first."""
        begun, failures = (time.monotonic(), 0) if since is None else (since, 1)
        while True:
            try:
                return await (run or self.store.run)(call)
            except (StoreUnavailableError, OutcomeUnknownError) as error:
                failures += 1
                await asyncio.sleep(self._wait(error, failures, begun))
