"""The parts of a worker that a harness runs: consumers, executors and maintenance, wired as a worker wires them.

It owns no time and decides nothing: when something runs is the harness's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from jobrunner.client import Client
from jobrunner.clock import Clock
from jobrunner.errors import StoreError
from jobrunner.logs import Logs
from jobrunner.observers import Observers
from jobrunner.plugins import queue_concurrency
from jobrunner.queue import Queue
from jobrunner.record import decode_journal, snoozed_ms
from jobrunner.settings import Settings
from jobrunner.store import looks
from jobrunner.testing.crashing import Crashes, MortalConsumer, MortalDesk, MortalExecutor
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.health import Health
from jobrunner.worker.maintenance import Maintenance
from jobrunner.worker.notes import Notes
from jobrunner.worker.resources import Resources
from jobrunner.worker.slots import Slots
from jobrunner.worker.threads import Threads

NAME = "harness"
"""The worker's name in events, and what its consumers' names begin with."""


class StrictHealth(Health):
    """The health of a store in memory: it cannot be away, so what fails is a bug and is raised."""

    async def failed(self, duty: str, error: StoreError, failures: int) -> None:
        """Raise the error, where a worker would wait and try again."""
        del duty, failures
        raise error


class Crew:
    """The worker's parts, over the store and the plugins of a client.

    Args:
        client: What jobs enqueue with.
        resources: The plugins' resources, entered.
        clock: The time.
        settings: The core's settings.
        environ: The environment, for the queues' concurrencies.
        crashes: The crashes that the test asks for.

    Raises:
        PluginError: A plugin's wrapper raised, or returned what cannot be a handler.
    """

    def __init__(
        self,
        client: Client,
        resources: Resources,
        clock: Clock,
        settings: Settings,
        environ: Mapping[str, str],
        crashes: Crashes,
    ) -> None:
        self._crashes = crashes
        self._plugins = client.plugins
        self._store = client.store
        self._clock = clock
        self._settings = settings
        self._environ = environ
        self._observers = Observers(
            [(one.name, function) for one, function in client.plugins.implementing("jobrunner_event")],  # type: ignore[misc]  # implementations of jobrunner_event
            clock,
        )
        self._health = StrictHealth(NAME, self._observers, clock)
        self._notes = Notes(client.store)
        self._threads = Threads("jobrunner-harness")
        logs = Logs(msgspec.structs.replace(settings, log_level="debug", log_format="json"))
        self._desk = MortalDesk(self._notes, resources, logs, client, NAME)
        self._desk.crashes = crashes
        self._executors = {name: self._executor(queue) for name, queue in client.plugins.queues.items()}
        self._generation = 0

    def consumers(self) -> list[MortalConsumer]:
        """New consumers, one a queue, under a new name, so that their exchanges are counted from one."""
        self._generation += 1
        slots = Slots()
        made = []
        for name, queue in self._plugins.queues.items():
            owner = self._plugins.owner(name)
            made.append(
                MortalConsumer(
                    queue,
                    concurrency=queue_concurrency(queue, self._settings, self._environ),
                    worker_id=f"{NAME}-{self._generation}",
                    store=self._store,
                    executor=self._executors[name],
                    desk=self._desk,
                    slots=slots,
                    health=self._health,
                    observers=self._observers,
                    clock=self._clock,
                    plugin=owner.name if owner else "",
                    flush=self._notes.flush,
                )
            )
        return made

    async def tidy(self) -> None:
        """Trim what ended and line up what was parked, as a worker does every now and then."""
        consumers = self.consumers()
        maintenance = self._maintenance(consumers)
        for consumer in consumers:
            await maintenance.tidy(consumer)

    async def recover(self, queue: str) -> None:
        """Take back the leases of a queue that ran out, as a worker does every third of a lease."""
        consumers: list[Consumer] = [one for one in self.consumers() if one.queue.name == queue]
        await self._maintenance(consumers).recover(consumers[0].queue, consumers[0])

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def _maintenance(self, consumers: Sequence[Consumer]) -> Maintenance:
        return Maintenance(
            list(consumers),
            self._store,
            health=self._health,
            observers=self._observers,
            clock=self._clock,
            worker_id=NAME,
            keyring=self._plugins.keyring,
        )

    def _executor(self, queue: Queue) -> MortalExecutor:
        keys = self._store.keys(queue.name)

        async def snoozed(attempt: Attempt) -> int:
            raw = await self._store.run(looks.field(keys, "state", [attempt.id]))
            return snoozed_ms(decode_journal(raw[0]))

        executor = MortalExecutor(
            queue,
            self._plugins.wrapped_handler(queue),
            snoozed_ms=snoozed,
            keyring=self._plugins.keyring,
            secrets=self._plugins.secrets(queue.name),
            threads=self._threads,
        )
        executor.crashes = self._crashes
        return executor
