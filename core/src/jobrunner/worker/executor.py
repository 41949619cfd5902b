"""Running one attempt: from a reserved record to an outcome, through one pipeline. It knows no Redis.

Payloads are decoded and upgraded here, handlers are called here, and only what a handler does ends in its
outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from jobrunner.codec import check_size, decode_object
from jobrunner.errors import PayloadError, PluginError, Snooze
from jobrunner.job import Job, SyncJob
from jobrunner.masking import secret_values
from jobrunner.outcome import Outcome, Snoozed
from jobrunner.queue import Queue
from jobrunner.record import Record
from jobrunner.sealing import Keyring
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.threads import Threads
from jobrunner.worker.verdict import UnknownVersion, completed, ended_by


class Children(Protocol):
    """What runs process handlers."""

    async def run(self, attempt: Attempt, begun: Callable[[], None]) -> Outcome:
        """Run the attempt in a child process, through a pipeline like this one.

        Args:
            attempt: The attempt.
            begun: Called when the child has loaded its plugins and is given the job.

        Raises:
            WorkerLostError: The child ended without an answer.
            PluginError: The child cannot load the plugins.
        """
        ...


class Executor:
    """Runs the attempts of one queue.

    Args:
        queue: The queue.
        handler: Its handler, inside every plugin's wrapper.
        snoozed_ms: Asks the store how long a job has been snoozed.
        keyring: Opens payloads that were sealed.
        secrets: Secret texts of the plugin's settings, longest first; struck out of whatever a job leaves, as the payload's
            own are.
        threads: Where plain handlers run.
        children: Where process handlers run, and whatever lost its worker so often that the next time is the last one;
            None where they run right here, since this is the child.
    """

    def __init__(
        self,
        queue: Queue,
        handler: Callable[..., object],
        *,
        snoozed_ms: Callable[[Attempt], Awaitable[int]],
        keyring: Keyring,
        secrets: list[str],
        threads: Threads,
        children: Children | None = None,
    ) -> None:
        self.queue = queue
        self._handler = handler
        self._snoozed_ms = snoozed_ms
        self._keyring = keyring
        self._secrets = secrets
        self._threads = threads
        self._children = children
        self.on_left: Callable[[Attempt], None] = lambda _: None
        """Called when a handler is left behind in its thread."""
        self.on_begun: Callable[[Attempt], None] = lambda _: None
        """Called when a handler that had to wait for a process of its own begins."""
        self.on_back: Callable[[Attempt], None] = lambda _: None
        """Called when such a handler has ended after all."""
        self._call = self._on_loop if queue.is_async else self._in_thread

    def runs_apart(self, attempt: Attempt) -> bool:
        """Whether the attempt waits for a process of its own before it begins."""
        crashes = attempt.counts.crashes
        is_last_chance = 0 < crashes >= self.queue.max_crashes - 1
        return self._children is not None and (is_last_chance or self.queue.executor == "process")

    async def run(self, attempt: Attempt) -> Outcome:
        """Run one attempt to its end. Never raises, but where the event loop itself is being closed."""
        try:
            return await self._run(attempt)
        except Exception as error:  # noqa: BLE001 - a result or a wish of the handler's own making that cannot be read
            problem = RuntimeError("what the handler returned or raised cannot be told")
            problem.__cause__ = error
            return ended_by(attempt, problem)

    async def _run(self, attempt: Attempt) -> Outcome:
        try:
            record = self._record(attempt)
            outcome = await self._apart(attempt)
            if outcome is not None:
                return outcome
            value = await self._call(attempt, self._payload(attempt, record))
        except Snooze as wish:
            try:
                before = await self._snoozed_ms(attempt)
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the store is away, or too late: granted all the same
                _forget_cancelling(attempt)
                before = 0
            return ended_by(attempt, wish, snoozed_ms=before)
        except asyncio.CancelledError as error:
            _forget_cancelling(attempt)
            return ended_by(attempt, error)
        except (KeyboardInterrupt, SystemExit) as error:
            return ended_by(attempt, RuntimeError(f"the handler raised {type(error).__name__}"))
        except BaseException as error:  # noqa: BLE001 - whatever a handler raises is an outcome
            return ended_by(attempt, error)
        return completed(attempt, value)

    async def _apart(self, attempt: Attempt) -> Outcome | None:
        """Run the attempt in a process of its own, if it is to; None if it is to run right here.

        All jobs that a dead worker held are suspected alike, the guilty and those that ran beside it. Who is on the last
        chance is tried alone, so that nobody is buried for what another job did, and nobody else is harmed any more.
        """
        if self._children is None or not self.runs_apart(attempt):
            return None
        attempt.apart = True
        try:
            outcome = await self._children.run(attempt, lambda: self.on_begun(attempt))
        except PluginError:
            if self.queue.executor == "process":
                raise
            attempt.apart = False  # a queue of this process alone, which no child can load
            self.on_begun(attempt)
            return None
        if isinstance(outcome, Snoozed):  # the child cannot know for how long the job was snoozed before
            raise Snooze(outcome.delay_s, outcome.note.reason)
        return outcome

    def _record(self, attempt: Attempt) -> Record:
        if attempt.record is None:
            raise PayloadError(
                self.queue.name, "", "the job's record is gone from the store, or cannot be read"
            )
        return attempt.record

    def _payload(self, attempt: Attempt, record: Record) -> msgspec.Struct:
        queue = self.queue
        record = self._keyring.opened(record, queue.name, attempt.id)
        if record.version == queue.version:
            payload = queue.codec.decode(record.payload)
        else:
            payload = self._upgraded(record.version, record.payload)
        attempt.secrets = self._secrets
        if queue.has_secrets:  # longest first, or a part of one would be left where another begins like it
            own = secret_values(payload, queue.payload)
            attempt.secrets = sorted({*own, *self._secrets}, key=len, reverse=True)
        return payload

    def _upgraded(self, version: int, raw: msgspec.Raw) -> msgspec.Struct:
        queue = self.queue
        if version > queue.version:
            raise UnknownVersion(f"payload version {version}, and this worker knows {queue.version}")
        check_size(queue.name, raw, queue.max_payload)
        plain = decode_object(queue.name, raw)
        while version < queue.version:
            upgrade = queue.upgrades.get(version)
            if upgrade is None:
                raise UnknownVersion(f"payload version {version}, and there is no upgrade from it")
            plain = upgrade(plain)
            version += 1
        return queue.codec.decode(msgspec.json.encode(plain))

    async def _on_loop(self, attempt: Attempt, payload: msgspec.Struct) -> object:
        return await self._handler(Job(payload, attempt))  # type: ignore[misc]  # an `async def`, checked at start

    async def _in_thread(self, attempt: Attempt, payload: msgspec.Struct) -> object:
        loop = asyncio.get_running_loop()

        def call(awaitable: Awaitable[object]) -> object:
            async def awaited() -> object:
                return await awaitable

            return asyncio.run_coroutine_threadsafe(awaited(), loop).result()

        job: SyncJob[msgspec.Struct] = SyncJob(payload, attempt, call)
        return await self._threads.run(
            lambda: self._handler(job), left=lambda: self.on_left(attempt), back=lambda: self.on_back(attempt)
        )


def _forget_cancelling(attempt: Attempt) -> None:
    """The attempt was made to stop, and has: its task goes on as one that nobody cancelled."""
    if attempt.stop is not None and (task := asyncio.current_task()):
        task.uncancel()
