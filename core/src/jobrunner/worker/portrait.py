"""What a worker says of itself: its report to the store, and the events of its start and its end.

It reads the worker's parts and changes none of them.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence

from jobrunner.clock import Clock
from jobrunner.events import WorkerStarted, WorkerStopped
from jobrunner.fleet import WorkerReport
from jobrunner.observers import Observers
from jobrunner.plugins import Plugins
from jobrunner.settings import VARIABLES, Settings, changed_settings, variable_name
from jobrunner.store.address import Address
from jobrunner.store.server import Server
from jobrunner.version import version
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.leases import Leases
from jobrunner.worker.shutdown import Shutdown


class Portrait:
    """A worker as others see it.

    Args:
        worker_id: The worker's name.
        plugins: What it serves.
        address: Where the store is.
        settings: The core's settings.
        shutdown: Whether it stops.
        observers: Who is told.
        clock: The time.
    """

    def __init__(
        self,
        worker_id: str,
        plugins: Plugins,
        address: Address,
        settings: Settings,
        *,
        shutdown: Shutdown,
        observers: Observers,
        clock: Clock,
    ) -> None:
        self._id = worker_id
        self._plugins = plugins
        self._address = address
        self._settings = settings
        self._shutdown = shutdown
        self._observers = observers
        self._clock = clock
        self._started = clock.monotonic()
        self._started_ms = int(clock.time() * 1000)
        self._consumers: Sequence[Consumer] = ()
        self._leases: Leases | None = None

    def complete(self, consumers: Sequence[Consumer], leases: Leases) -> None:
        """Take in the parts that are there once the worker serves."""
        self._consumers, self._leases = consumers, leases

    def report(self, now_ms: int, store_ms: float, half_trip_ms: int) -> WorkerReport:
        """The worker as it is now.

        Args:
            now_ms: The store's time, in ms since 1970.
            store_ms: Milliseconds to the store and back.
            half_trip_ms: Half of that: the age of `now_ms`.
        """
        consumers = self._consumers
        return WorkerReport(
            id=self._id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version(),
            started_ms=self._started_ms,
            seen_ms=now_ms,
            queues=self._concurrencies(),
            plugins=self._plugin_versions(),
            running=sum(len(consumer.running) for consumer in consumers),
            held=sum(len(consumer.held) for consumer in consumers),
            abandoned=sum(consumer.abandoned for consumer in consumers),
            completed=sum(consumer.totals.completed for consumer in consumers),
            failed=sum(consumer.totals.failed for consumer in consumers),
            loop_lag_ms=int(self._leases.take_lag() * 1000) if self._leases else 0,
            store_ms=store_ms,
            clock_skew_ms=int(time.time() * 1000) - now_ms - half_trip_ms,
            stopping=self._shutdown.asked.is_set() or self._shutdown.quiet.is_set(),
        )

    def tell_started(self, about: Server, *, concurrency: int | None, grace_s: float) -> None:
        """Tell that the worker serves, and how it is set."""
        self._observers.tell(
            WorkerStarted(
                timestamp=self._observers.now(),
                worker_id=self._id,
                version=version(),
                store=self._address.masked(),
                server=about.title,
                queues=self._concurrencies(),
                plugins=self._plugin_versions(),
                concurrency=concurrency,
                grace_s=grace_s,
                log_sample=self._settings.log_sample,
                settings=self._changed_settings(),
            )
        )

    def tell_stopped(self) -> None:
        """Tell that the worker has ended, and what it did."""
        totals = [consumer.totals for consumer in self._consumers]
        self._observers.tell(
            WorkerStopped(
                timestamp=self._observers.now(),
                worker_id=self._id,
                completed=sum(one.completed for one in totals),
                failed=sum(one.failed for one in totals),
                released=sum(one.released for one in totals),
                uptime_s=round(self._clock.monotonic() - self._started, 3),
            )
        )

    def _concurrencies(self) -> dict[str, int]:
        return {consumer.queue.name: consumer.concurrency for consumer in self._consumers}

    def _plugin_versions(self) -> dict[str, str]:
        return {one.name: f"{one.found.distribution} {one.found.version}".strip() for one in self._plugins}

    def _changed_settings(self) -> dict[str, str]:
        changed = changed_settings(self._settings, VARIABLES)
        for plugin in self._plugins:
            variables = {
                name: variable_name(plugin.name, name) for name in plugin.settings_type.__struct_fields__
            }
            changed |= changed_settings(plugin.settings, variables)
        return changed
