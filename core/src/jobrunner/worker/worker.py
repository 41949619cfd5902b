"""A worker: wires the duties together and owns the order in which they stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from jobrunner.client import Client
from jobrunner.clock import Clock, SystemClock
from jobrunner.declaration import Declaration, declare, payload_schema
from jobrunner.errors import StoreError, UnknownQueueError
from jobrunner.events import WorkerStopping
from jobrunner.logs import Logs
from jobrunner.observers import Observer, Observers
from jobrunner.plugins import Plugins, queue_concurrency
from jobrunner.queue import Queue
from jobrunner.record import decode_journal, snoozed_ms
from jobrunner.settings import Settings
from jobrunner.store import looks, server
from jobrunner.store.address import Address
from jobrunner.store.connect import open_store, open_sync_store
from jobrunner.store.store import Store, SyncStore
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.burst import Burst
from jobrunner.worker.children import ChildPool
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.desk import WorkerDesk
from jobrunner.worker.duties import Duties
from jobrunner.worker.executor import Executor
from jobrunner.worker.health import Health
from jobrunner.worker.identity import worker_id
from jobrunner.worker.leases import Leases
from jobrunner.worker.maintenance import Maintenance
from jobrunner.worker.notes import Notes
from jobrunner.worker.portrait import Portrait
from jobrunner.worker.report import Reporter
from jobrunner.worker.resources import Resources
from jobrunner.worker.shutdown import Shutdown
from jobrunner.worker.slots import Slots
from jobrunner.worker.threads import Threads
from jobrunner.worker.waiter import Waiter

SETTLE_S = 1.5
"""Seconds that handlers have after they were cancelled at the end of the grace, before they are left behind."""

LAST_WORDS_S = 2.0
"""Seconds that the last settlements may take; what is not taken by then comes back by its lease."""

GOODBYE_S = 0.5
"""Seconds that a worker may take to strike itself off; others do it after a minute. With the above and the grace of 25 s
a worker whose store does not answer has ended before the 30 s of Kubernetes are over.
"""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker is run.

    Attributes:
        queues: Queues to serve; None for all of the plugins'.
        concurrency: Jobs at once over all queues; None where only the queues' own bounds hold.
        burst: End when nothing is left but jobs that are scheduled for later.
        grace: Seconds that running jobs get at a stop.
        index: The worker's number under a supervisor.
        plugin_names: What the plugins were asked for by; children load the same. None for all that are installed.
    """

    queues: tuple[str, ...] | None = None
    concurrency: int | None = None
    burst: bool = False
    grace: float = 25.0
    index: int | None = None
    plugin_names: tuple[str, ...] | None = None


class Worker:
    """A worker of one process.

    Args:
        plugins: What it serves, and who is told.
        address: Where the store is.
        settings: The core's settings.
        environ: The environment, for the queues' concurrencies.
        options: How it is run.
        logs: Where lines go.
        clock: The time.
        listen: Whether it takes the process's signals.
    """

    def __init__(
        self,
        plugins: Plugins,
        address: Address,
        settings: Settings,
        environ: Mapping[str, str],
        options: WorkerOptions,
        logs: Logs,
        *,
        clock: Clock | None = None,
        listen: bool = True,
    ) -> None:
        self.id = worker_id(options.index)
        self.plugins = plugins
        self.shutdown = Shutdown()
        self.consumers: list[Consumer] = []
        self.burst: Burst | None = None
        self._address = address
        self._settings = settings
        self._environ = environ
        self._options = options
        self._logs = logs
        self._clock = clock or SystemClock()
        self._listen = listen
        self._concurrency: dict[str, int] = {}
        observers: list[tuple[str, Observer]] = [("jobrunner", logs.observer())]
        observers += [(one.name, function) for one, function in plugins.implementing("jobrunner_event")]  # type: ignore[misc]  # implementations of jobrunner_event
        self.observers = Observers(observers, self._clock)
        self.health = Health(self.id, self.observers, self._clock)
        self._portrait = Portrait(
            self.id,
            plugins,
            address,
            settings,
            shutdown=self.shutdown,
            observers=self.observers,
            clock=self._clock,
        )

    @property
    def left_behind(self) -> int:
        """Handlers that did not end when they were told to, and still run."""
        return sum(consumer.abandoned for consumer in self.consumers)

    async def run(self) -> int:
        """Serve until told to stop; the exit status.

        Raises:
            SettingsError: A queue's variable of concurrency has a value that cannot be used.
            StoreError: The store cannot be reached at the start, or may not be used.
            PluginError: A plugin's resources cannot be made.
            UnknownQueueError: A queue that was asked for is declared by no plugin.
        """
        queues = self._queues()
        # Before the store is reached: a typing mistake in a variable is told at once, whatever else is wrong.
        self._concurrency = {
            queue.name: queue_concurrency(queue, self._settings, self._environ) for queue in queues
        }
        store = open_store(self._address, self._settings.prefix)  # which reaches nothing yet
        try:
            if self._listen:
                self.shutdown.listen()
            # Before the store is reached: who mistypes a plugin's setting hears of that, and not of a server that is not
            # up yet either. Left after the last word to the store, and where the store cannot be reached.
            async with Resources(self.plugins) as resources:
                about = await self._reach(store)
                if about is not None:
                    await self._serve(queues, store, resources, about)
        finally:
            if self._listen:
                self.shutdown.ignore()
            await store.close()
        return self.shutdown.exit_status

    def _queues(self) -> list[Queue]:
        declared = self.plugins.queues
        wanted = self._options.queues
        if wanted is None:
            if not declared:
                names = ", ".join(plugin.name for plugin in self.plugins) or "none"
                raise UnknownQueueError(
                    f"there is no queue to serve: the plugins loaded ({names}) declare none; `pip install` one"
                )
            return list(declared.values())
        return [self.plugins.queue(name) for name in dict.fromkeys(wanted)]

    async def _reach(self, store: Store) -> server.Server | None:
        """Look at the store before anything is asked of it; None if the worker is told to stop before it answers."""
        looking = asyncio.create_task(store.run_everywhere(server.info()))
        stopping = asyncio.create_task(self.shutdown.asked.wait())
        try:
            await asyncio.wait((looking, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not looking.done():
                return None
            nodes = looking.result()
        finally:
            for task in (looking, stopping):
                task.cancel()
            await asyncio.gather(looking, stopping, return_exceptions=True)
        for node in nodes:
            server.check(node, allow_eviction=self._settings.allow_eviction)
        return nodes[0]

    async def _serve(
        self, queues: list[Queue], store: Store, resources: Resources, about: server.Server
    ) -> None:
        notes = Notes(store)
        client = Client(store, self.plugins)
        desk = WorkerDesk(notes, resources, self._logs, client, self.id)
        children = ChildPool(self._options.plugin_names, desk, self._logs, self.id)
        threads = Threads("jobrunner-handler")
        slots = Slots(self._options.concurrency)
        executors = {queue.name: self._executor(queue, store, threads, children) for queue in queues}
        self.consumers = [
            self._consumer(queue, store, executors[queue.name], desk, slots, notes) for queue in queues
        ]
        waiters = self._waiters(store)
        maintenance = Maintenance(
            self.consumers,
            store,
            health=self.health,
            observers=self.observers,
            clock=self._clock,
            worker_id=self.id,
            keyring=self.plugins.keyring,
        )
        leases = Leases(self.consumers, self._open_sync, self.observers.tell, self.id)
        self._portrait.complete(self.consumers, leases)
        reporter = Reporter(store, self.health, self._portrait.report, self._declarations(queues))
        duties = Duties(self.id, self.observers)
        await reporter.begin()
        leases.start()
        self._portrait.tell_started(about, concurrency=self._options.concurrency, grace_s=self._options.grace)
        served = [duties.start(f"consume {one.queue.name}", one.run) for one in self.consumers]
        for number, waiter in enumerate(waiters):
            duties.start(f"wait {number}", waiter.run)
            duties.start(f"wait watch {number}", waiter.watch)
        duties.start("notes", notes.run)
        duties.start("trim", maintenance.trim_forever)
        duties.start("report", reporter.run)
        duties.start("abandoned", self._watch_abandoned)
        duties.start("quiet", self._watch_quiet)
        for consumer in self.consumers:
            duties.start(f"recover {consumer.queue.name}", _recovering(maintenance, consumer))
        if self._options.burst:
            self.burst = Burst(self.consumers, store, self.health)
            duties.start("burst", self._end_of_burst)
        await self.shutdown.asked.wait()
        await self._stop(duties, served)
        # The order: nobody wakes consumers any more, then nobody renews, then nobody is left to enqueue or to write.
        for waiter in waiters:
            await waiter.close()
        await leases.close()
        await children.close()
        threads.close()
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await reporter.leave()
        self._portrait.tell_stopped()

    async def _stop(self, duties: Duties, served: list[asyncio.Task[None]]) -> None:
        """Stop reserving, give back, let finish, cancel, give back."""
        grace = 0.0 if self.shutdown.hurry.is_set() else self._options.grace
        running = sum(len(consumer.running) for consumer in self.consumers)
        self.observers.tell(
            WorkerStopping(
                timestamp=self.observers.now(),
                worker_id=self.id,
                reason=self.shutdown.reason,
                running=running,
                grace_s=grace,
            )
        )
        waits = [f"wait{what} {number}" for number in range(len(self.consumers)) for what in ("", " watch")]
        await duties.stop(*waits, "burst", "abandoned", "quiet", "trim", "report")
        for consumer in self.consumers:
            consumer.give_back()
        everything = asyncio.gather(*served)
        hurry = asyncio.create_task(self.shutdown.hurry.wait())
        waiting: list[asyncio.Future[object]] = [everything, hurry]  # type: ignore[list-item]  # futures of anything
        await asyncio.wait(waiting, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not everything.done():
            for consumer in self.consumers:
                consumer.stop_running("the worker stops")
            await asyncio.wait([everything], timeout=SETTLE_S)
        if not everything.done():
            for consumer in self.consumers:
                consumer.leave_all_behind()
            await asyncio.wait([everything], timeout=LAST_WORDS_S)
        everything.cancel()
        await asyncio.gather(everything, return_exceptions=True)
        await duties.stop()

    # ---- the parts -------------------------------------------------------------------------------------------

    def _executor(self, queue: Queue, store: Store, threads: Threads, children: ChildPool) -> Executor:
        keys = store.keys(queue.name)

        async def snoozed(attempt: Attempt) -> int:
            raw = await store.run(looks.field(keys, "state", [attempt.id]))
            return snoozed_ms(decode_journal(raw[0]))

        handler = self.plugins.wrapped_handler(queue)
        return Executor(
            queue,
            handler,
            snoozed_ms=snoozed,
            keyring=self.plugins.keyring,
            secrets=self.plugins.secrets(queue.name),
            threads=threads,
            children=children,
        )

    def _consumer(
        self, queue: Queue, store: Store, executor: Executor, desk: WorkerDesk, slots: Slots, notes: Notes
    ) -> Consumer:
        owner = self.plugins.owner(queue.name)
        return Consumer(
            queue,
            concurrency=self._concurrency[queue.name],
            worker_id=self.id,
            store=store,
            executor=executor,
            desk=desk,
            slots=slots,
            health=self.health,
            observers=self.observers,
            clock=self._clock,
            plugin=owner.name if owner else "",
            flush=notes.flush,
        )

    def _waiters(self, store: Store) -> list[Waiter]:
        """One for all queues; in a cluster one a queue, since a command may block on keys of one node only."""
        one_node = self._address.kind != "cluster"
        groups = [self.consumers] if one_node else [[consumer] for consumer in self.consumers]
        waiters: list[Waiter] = []
        for group in groups:
            own = open_store(self._address, self._settings.prefix)
            waiters.append(Waiter(group, store, own, self.health, lets_go=one_node))

        def poke() -> None:
            for waiter in waiters:
                waiter.poke()

        for consumer in self.consumers:
            consumer.on_change = poke  # all of them: who may take a job depends on what the other queues want
        return waiters

    def _open_sync(self) -> SyncStore:
        return open_sync_store(self._address, self._settings.prefix)

    def _declarations(self, queues: list[Queue]) -> list[tuple[Declaration, dict[str, object]]]:
        declared = []
        for queue in queues:
            owner = self.plugins.owner(queue.name)
            about = declare(
                queue,
                plugin=owner.name if owner else "",
                distribution=owner.found.distribution and f"{owner.found.distribution} {owner.found.version}"
                if owner
                else "",
                concurrency=self._concurrency[queue.name],
            )
            declared.append((about, payload_schema(queue)))
        return declared

    # ---- small duties ----------------------------------------------------------------------------------------

    async def _end_of_burst(self) -> None:
        assert self.burst is not None
        await self.burst.wait()
        self.shutdown.ask("the burst is over")

    async def _watch_abandoned(self) -> None:
        """Drain and end when half of a queue's slots are taken by handlers that were left behind."""
        while True:
            await asyncio.sleep(1.0)
            for consumer in self.consumers:
                if consumer.abandoned and consumer.abandoned * 2 >= consumer.concurrency:
                    self.shutdown.ask(
                        f"{consumer.abandoned} handlers of {consumer.queue.name} do not end", exit_status=1
                    )

    async def _watch_quiet(self) -> None:
        await self.shutdown.quiet.wait()
        for consumer in self.consumers:
            consumer.give_back()


def _recovering(maintenance: Maintenance, consumer: Consumer) -> Callable[[], Awaitable[None]]:
    return lambda: maintenance.recover_forever(consumer)
