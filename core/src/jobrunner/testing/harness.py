"""Plugins under a clock of the test's own: a store in memory, a real client, and the worker's consumers.

Nothing runs unless the test says so, by `drain`, `run_due` or `advance`; then what runs is what a worker runs:
the same exchange, executor, retries and maintenance. There are no signals and no processes: a handler for
`executor="process"` runs in a thread or on the loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from jobrunner.client import Client
from jobrunner.discovery import Found
from jobrunner.drafting import Payload
from jobrunner.errors import JobNotFoundError, JobrunnerError
from jobrunner.events import Event
from jobrunner.handle import JobHandle, SyncJobHandle
from jobrunner.model import State
from jobrunner.plugins import Plugins, from_object, load
from jobrunner.record import Note
from jobrunner.sealing import Keyring
from jobrunner.settings import Settings, core_settings
from jobrunner.store import calls, looks
from jobrunner.sync_client import SyncClient
from jobrunner.testing import expecting
from jobrunner.testing.clock import VirtualClock, seconds
from jobrunner.testing.crashing import Crashes, LostLeases
from jobrunner.testing.crew import Crew
from jobrunner.testing.given import resources_for
from jobrunner.testing.loading import load_plugins
from jobrunner.testing.memory import Memory
from jobrunner.testing.recorder import Recorder
from jobrunner.testing.shift import Shift
from jobrunner.testing.stored import StoredJob, read_job, read_jobs
from jobrunner.worker.attempt import Attempt

E = TypeVar("E", bound=Event)

LIMIT = 10_000
"""Attempts of a queue that one call runs at the most: far more than tests mean, and seconds, not hours, of waiting."""


class EndlessWorkError(JobrunnerError):
    """A queue began more attempts than a test can mean: a job makes work for itself without end."""


class Harness:
    """Plugins, a store in memory, and a clock. An async context manager, used on one event loop.

    Args:
        *plugins: Each a plugin's name, a `.py` file, a module, an object with hooks, or a Queue that the test
            made itself; none stands for all that are installed.
        settings: Settings of the first plugin by field, as plain values.
        environ: The environment, whole; the machine's own is not looked at.
        resources: Type -> object, in place of all of the plugins' own; None makes the plugins' own, and leaves
            them at the end.
        start: The time at first, aware; None is the machine's time now.
        clock: A clock that the test made, to hand it to its own code too; it is moved by `advance` alone.
        limit: Attempts of a queue that one `drain` runs at the most, before it calls them endless.

    Raises:
        PluginError: A plugin cannot be loaded, or has no such setting.
        SettingsError: A setting or a variable has a value that cannot be used.
        JobrunnerError: The packages of the extra `testing` are missing.
    """

    def __init__(
        self,
        *plugins: object,
        settings: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        resources: Mapping[type[object], object] | None = None,
        start: datetime | None = None,
        clock: VirtualClock | None = None,
        limit: int = LIMIT,
    ) -> None:
        if plugins:
            loaded, self._environ = load_plugins(plugins, settings=settings, environ=environ)
        else:
            self._environ = dict(environ or {})
            loaded = list(load(None, self._environ))
        self._limit = limit
        self._recorder = Recorder()
        recording = from_object(self._recorder, Found(name="harness", target=""), {})
        self._settings: Settings = core_settings(self._environ)
        self.plugins = Plugins([*loaded, recording], keyring=Keyring(self._settings.encryption_keys))
        self.clock = clock or VirtualClock(start)
        self._memory = Memory(self.clock, self._settings.prefix)
        self._store = self._memory.store
        self.client = Client(self._store, self.plugins, retry_for=0)
        """A real client of the store in memory."""
        self.sync_client = SyncClient(self._memory.sync_store, self.plugins, retry_for=0)
        """Its twin, for code that does not await."""
        self._resources = resources_for(self.plugins, resources)
        self._crew: Crew | None = None
        self._crashes = Crashes(self._died)
        self._lost = LostLeases()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Enter the plugins' resources and wrap the handlers.

        Raises:
            PluginError: A resource cannot be made, or a wrapper raised.
        """
        self._stack.callback(self._memory.close)
        try:
            await self._stack.enter_async_context(self._resources)
            self._crew = Crew(
                self.client, self._resources, self.clock, self._settings, self._environ, self._crashes
            )
        except BaseException:
            await self._stack.aclose()
            raise
        self._stack.callback(self._crew.close)
        self._stack.push_async_callback(self._crashes.let_go)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the plugins' resources and forget the jobs.

        Raises:
            AssertionError: A crash that `kill_after` asked for did not happen, and the test has not failed already.
        """
        self._crew = None
        await self._stack.__aexit__(kind, error, trace)
        if error is None:
            self._crashes.check()

    # ---- time --------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The harness's time, in UTC."""
        return self.clock.now

    async def advance(self, duration: str | float | timedelta, *, working: bool = True) -> int:
        """Let time pass, with a worker at work: whatever falls due on the way runs at its moment.

        Retries, snoozes and delayed jobs each run when their time comes, in their order, and what they make due
        within the duration runs too. At the end the store is tidied as a worker does it: jobs that ended longer
        ago than their queue keeps them are gone. While a `drain` is under way in another task, only the clock
        moves, timeouts are met within a second, and that drain runs what falls due.

        Args:
            duration: Seconds, a `timedelta`, or text such as `2h`, `90s`, `1h 30m`.
            working: Whether a worker is at work; else only the clock moves.

        Returns:
            The number of attempts that ran.

        Raises:
            EndlessWorkError: As `drain`.
        """
        target = self.clock.now_ms + round(seconds(duration) * 1000)
        if self._recorder.shift is not None:
            self._move_to(target)
            await self._recorder.shift.heartbeat()
            self._recorder.shift.wake()
            return 0
        if not working:
            self._move_to(target)
            return 0
        ran = await self.drain()
        while (due := await self._next_moment()) is not None and self.clock.now_ms < due <= target:
            self._move_to(due)
            await self._recover()
            ran += await self.drain()
        self._move_to(target)
        if self._crew is not None:
            await self._crew.tidy()
        return ran + await self.drain()

    async def drain(self) -> int:
        """Run jobs until none is due, those that jobs enqueue included; the clock stands still meanwhile.

        Returns:
            The number of attempts that ran.

        Raises:
            EndlessWorkError: A queue began as many attempts as the harness's limit, and is not done.
        """
        return await self._work(dict.fromkeys(self.plugins.queues, self._limit), endless=True)

    async def run_due(self) -> int:
        """Run what is due now, each job once: what those jobs enqueue or make due stays for the next call.

        Returns:
            The number of attempts that ran.
        """
        budget = {name: await self._count_due(name) for name in self.plugins.queues}
        return await self._work(budget, endless=False)

    # ---- jobs --------------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        queue: str,
        payload: Payload,
        *,
        delay: str | float | timedelta | None = None,
        at: datetime | None = None,
        priority: int | None = None,
        job_id: str | None = None,
        tenant: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> JobHandle:
        """Enqueue a job through the harness's client; it runs when the test says so.

        The arguments are those of `Client.enqueue`; `delay` may be a text such as `2h`, too.

        Raises:
            PayloadError: The payload does not fit the queue.
            UnknownQueueError: No plugin of the harness declares the queue.
            ConflictError: A job of that id has another payload.
        """
        delay_s = None if delay is None else seconds(delay)
        handle = await self.client.enqueue(
            queue,
            payload,
            delay=delay_s,
            at=at,
            priority=priority,
            job_id=job_id,
            tenant=tenant,
            headers=headers,
        )
        if self._recorder.shift is not None:
            self._recorder.shift.wake()
        return handle

    def job(self, job: JobHandle | SyncJobHandle | str, queue: str | None = None) -> StoredJob:
        """Look at a job.

        Args:
            job: Its handle, or its id.
            queue: Its queue's name, where an id stands in several.

        Raises:
            JobNotFoundError: It is not there, or was trimmed.
        """
        job_id, name = self._named(job, queue)
        return read_job(self._memory.sync_store, self.plugins, name, job_id)

    def jobs(self, queue: str | None = None, state: State | str | None = None) -> list[StoredJob]:
        """Look at all jobs, or those of a queue, or of a state.

        Returns:
            By queue, then by state; waiting and delayed ones in the order they will run, the others newest first.

        Raises:
            ValueError: There is no such state.
        """
        queues: Iterable[str] = self.plugins.queues if queue is None else [queue]
        states = list(State) if state is None else [State(state)]
        store = self._memory.sync_store
        return [job for name in queues for one in states for job in read_jobs(store, self.plugins, name, one)]

    def expect_enqueued(
        self, queue: str, payload: Mapping[str, object] | msgspec.Struct | None = None, **facts: object
    ) -> StoredJob:
        """Return the one job of a queue, in whichever state, with this payload and these facts.

        Args:
            queue: The queue's name.
            payload: The whole payload as a Struct, or some of its fields as a map, in either spelling.
            **facts: What else it is to have, as in `StoredJob`, such as `state="delayed"`.

        Raises:
            AssertionError: There is none, or more than one; the message says what there is.
        """
        return expecting.expect_enqueued(self.jobs(), queue, payload, facts)

    async def cancel(
        self, job: JobHandle | SyncJobHandle | str, reason: str = "", queue: str | None = None
    ) -> str:
        """Cancel a job as somebody at the command line would; one that runs is told at once.

        Returns:
            `cancelled`; `requested` where it runs; `ended` where it was over; `missing`.
        """
        job_id, name = self._named(job, queue)
        entry = msgspec.json.encode(Note(what="cancelled", reason=reason))
        call = calls.cancel(self._store.keys(name), [job_id], reason=reason, entry=entry)
        verdict = (await self._store.run(call))[0]
        if self._recorder.shift is not None:
            await self._recorder.shift.heartbeat()
        return verdict

    def kill_after(self, where: str, *, queue: str = "", times: int = 1) -> None:
        """Let an attempt's process be killed when the attempt comes to a place: nothing more of its handler runs.

        The job stays active, as it would, until its lease has run out: `advance` past that (30 s, if the queue says
        nothing else) and past the wait after a crash, and the next attempt begins. Other attempts are not harmed.
        What the killed handler would do while it is unwound (`finally`) happens when the harness is left.

        Args:
            where: `start`, before the handler; `step:NAME`, right after that step was stored; `effect:NAME`, when it
                was done and before it was stored; `enqueue:QUEUE`, after a job was enqueued there; `end`, when the
                handler has ended and nobody was told.
            queue: The only queue whose attempts are killed; empty for all.
            times: How many attempts are killed; a queue's `max_crashes` of them bury a job.

        Raises:
            ValueError: There is no such place.
        """
        self._crashes.ask(where, queue=queue, times=times)

    # ---- events ------------------------------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """Everything that was told so far, in order; the list is the harness's own, and a test may clear it."""
        return self._recorder.events

    def events_of(self, kind: type[E]) -> list[E]:
        """The events of a type that were told so far, in order."""
        return [event for event in self._recorder.events if isinstance(event, kind)]

    # ---- the parts ---------------------------------------------------------------------------------------------

    async def _work(self, budget: Mapping[str, int], *, endless: bool) -> int:
        if self._crew is None:
            raise JobrunnerError("the harness is not open; use it as `async with Harness(...) as harness:`")
        if self._recorder.shift is not None:
            raise JobrunnerError("this harness is at work already, in another task; await that one")
        shift = self._recorder.shift = Shift(self._crew.consumers(), self._store, self.clock, budget)
        try:
            await shift.work()
        finally:
            self._recorder.shift = None
        for queue in shift.spent if endless else ():
            if not await self._count_due(queue):
                continue
            raise EndlessWorkError(
                f"{queue} began {self._limit:,} attempts and is not done; does a job retry or enqueue itself at once?"
            )
        return shift.started

    def _move_to(self, ms: int) -> None:
        self.clock.move(timedelta(milliseconds=max(0, ms - self.clock.now_ms)))
        self._memory.tell_time()

    def _died(self, attempt: Attempt) -> None:
        if self._recorder.shift is not None:
            self._recorder.shift.lose(attempt)
        self._lost.add(attempt)

    async def _recover(self) -> None:
        """Take back the leases of killed attempts that have run out by now."""
        for name in self._lost.looks(self.plugins.queues):
            if self._crew is not None:
                await self._crew.recover(name)
            active = await self._store.run(
                looks.page(self._store.keys(name), State.ACTIVE, start=0, limit=looks.MAX_PAGE)
            )
            self._lost.still(name, {job_id for job_id, _ in active})

    async def _next_moment(self) -> int | None:
        """When the next delayed job is due, or the next look for leases that ran out, in ms."""
        due = []
        waits = self._lost.looks(self.plugins.queues).values()
        due += [self.clock.now_ms + max(1, round(wait * 1000)) for wait in waits]
        for name in self.plugins.queues:
            page = await self._store.run(looks.page(self._store.keys(name), State.DELAYED, start=0, limit=1))
            due += [int(score) for _, score in page]
        return min(due, default=None)

    async def _count_due(self, queue: str) -> int:
        keys = self._store.keys(queue)
        counts = await self._store.run(calls.counts(keys))
        if counts.paused:
            return 0
        late = await self._store.run(calls.command("ZCOUNT", keys["later"], "-inf", self.clock.now_ms))
        assert isinstance(late, int)
        return counts.waiting + late

    def _named(self, job: JobHandle | SyncJobHandle | str, queue: str | None) -> tuple[str, str]:
        """A job's id and its queue's name."""
        if isinstance(job, (JobHandle, SyncJobHandle)):
            return job.id, job.queue
        if queue is not None:
            return job, queue
        store = self._memory.sync_store
        for name in self.plugins.queues:
            if store.run(calls.command("HEXISTS", store.keys(name)["jobs"], job)):
                return job, name
        raise JobNotFoundError(f"no queue of this harness has a job {job}")
