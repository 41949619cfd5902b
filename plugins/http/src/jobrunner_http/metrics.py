"""Metrics in the text form that Prometheus reads, and the one number that autoscalers ask for.

They come from what workers keep in the store, so it does not matter which copy is scraped, and a scrape costs the same
with ten jobs or ten million. No label holds a job, a tenant or a worker: series must not grow with those.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from jobrunner.admin import Admin
from jobrunner.fleet import WorkerReport
from jobrunner.gauges import Totals
from jobrunner.model import BUCKETS_MS, State
from jobrunner.views import QueueStats

MEDIA_TYPE = CONTENT_TYPE_LATEST

OUTCOMES = (
    *("completed", "failed", "buried", "retried", "snoozed", "released", "cancelled", "parked", "crashed"),
)
"""How runs end, as they are counted."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a scrape is made of."""

    stats: list[QueueStats]
    totals: dict[str, Totals]
    workers: list[WorkerReport]
    store_s: float
    """Seconds that reading it took."""


async def read(admin: Admin, names: Sequence[str] | None = None) -> Reading:
    """Read what a scrape is made of, in a constant number of round trips.

    Args:
        admin: People's side of the store.
        names: The queues; None is all.
    """
    begun = time.perf_counter()
    stats = await admin.stats(names)
    totals = await admin.gauges.totals([one.name for one in stats])
    workers = [report for report, alive in await admin.workers() if alive]
    return Reading(stats=stats, totals=totals, workers=workers, store_s=time.perf_counter() - begun)


def exposition(reading: Reading) -> bytes:
    """A reading in the text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(reading))
    return generate_latest(registry)


class _Collector:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _queues(self._reading.stats)
        yield from _counters(self._reading.totals)
        for kind, text in (
            ("duration", "How long runs took."),
            ("wait", "How long jobs waited until they ran."),
        ):
            yield _histogram(f"jobrunner_job_{kind}_seconds", text, kind, self._reading.totals)
        yield from _fleet(self._reading)


def _queues(stats: list[QueueStats]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("jobrunner_jobs", "Jobs by state.", labels=("queue", "state"))
    oldest = GaugeMetricFamily(
        "jobrunner_oldest_waiting_seconds",
        "Age of the first job in line; 0 where none waits.",
        labels=("queue",),
    )
    paused = GaugeMetricFamily("jobrunner_queue_paused", "1 where the queue is paused.", labels=("queue",))
    workers = GaugeMetricFamily("jobrunner_queue_workers", "Workers that serve the queue.", labels=("queue",))
    for one in stats:
        for state in State:
            jobs.add_metric((one.name, state.value), getattr(one, state.value))
        oldest.add_metric((one.name,), max(0, one.oldest_waiting_ms or 0) / 1000)
        paused.add_metric((one.name,), int(one.paused))
        workers.add_metric((one.name,), one.workers)
    yield from (jobs, oldest, paused, workers)


def _counters(totals: dict[str, Totals]) -> Iterator[Metric]:
    enqueued = CounterMetricFamily("jobrunner_jobs_enqueued", "Jobs that were enqueued.", labels=("queue",))
    started = CounterMetricFamily("jobrunner_runs_started", "Runs that were started.", labels=("queue",))
    ended = CounterMetricFamily(
        "jobrunner_runs_ended", "Runs by how they ended.", labels=("queue", "outcome")
    )
    recovered = CounterMetricFamily(
        "jobrunner_jobs_recovered", "Jobs taken back from workers that were lost.", labels=("queue",)
    )
    lost = CounterMetricFamily(
        "jobrunner_leases_lost", "Outcomes refused since the job's lease was lost.", labels=("queue",)
    )
    for name, one in totals.items():
        enqueued.add_metric((name,), one.counters["enqueued"])
        started.add_metric((name,), one.counters["started"])
        recovered.add_metric((name,), one.counters["recovered"])
        lost.add_metric((name,), one.counters["stale"])
        for outcome in OUTCOMES:
            ended.add_metric((name, outcome), one.counters[outcome])
    yield from (enqueued, started, ended, recovered, lost)


def _histogram(name: str, text: str, kind: str, totals: dict[str, Totals]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=("queue",))
    for queue, one in totals.items():
        counted = one.duration if kind == "duration" else one.wait
        below, buckets = 0, []
        for bound in BUCKETS_MS:
            below += counted[str(bound)]
            buckets.append((f"{bound / 1000:g}", below))
        buckets.append(("+Inf", below + counted["inf"]))
        family.add_metric((queue,), buckets, counted["sum"] / 1000)
    return family


def _fleet(reading: Reading) -> Iterator[Metric]:
    workers = reading.workers
    gauges = (
        ("jobrunner_workers", "Workers that live.", len(workers)),
        (
            "jobrunner_workers_running_jobs",
            "Jobs that run now, as workers say.",
            sum(one.running for one in workers),
        ),
        (
            "jobrunner_worker_abandoned_handlers",
            "Handlers that did not end when they were told to.",
            sum(one.abandoned for one in workers),
        ),
        (
            "jobrunner_worker_loop_lag_seconds",
            "The longest that a worker's event loop stood still lately.",
            max((one.loop_lag_ms for one in workers), default=0) / 1000,
        ),
        (
            "jobrunner_worker_store_seconds",
            "The slowest worker's last round trip to the store.",
            max((one.store_ms for one in workers), default=0.0) / 1000,
        ),
        (
            "jobrunner_worker_clock_skew_seconds",
            "The furthest that a worker's clock is from the store's.",
            max((abs(one.clock_skew_ms) for one in workers), default=0) / 1000,
        ),
        ("jobrunner_scrape_store_seconds", "What reading these metrics took of the store.", reading.store_s),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(name, text, value=value)
