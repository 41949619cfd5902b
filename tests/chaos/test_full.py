"""A store that takes no more writes: producers are told, nothing that was accepted is lost, and work goes on by itself."""

import contextlib
import json

import pytest
from rig.figures import Counts
from rig.history import now_ms
from rig.servers import ServerOptions

from jobrunner.errors import StoreFullError, StoreUnavailableError


def fill(scene):
    """Enqueue until the store is full; how many jobs it took."""
    accepted = 0
    with scene.producer() as producer, contextlib.suppress(StoreFullError):
        while True:
            handle = producer.enqueue("chaos.work", {"number": accepted, "filler": "x" * 8000})
            scene.history.accepted(handle.id)
            accepted += 1
    return accepted


def lines_of(worker, event):
    return [line for line in map(json.loads, worker.output().splitlines()) if line["event"] == event]


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.chaos)])
def test_worker_starts_and_drains_where_redis_is_full(make_scene, kind, figures):
    """A queue that cannot be drained because it is full needs an operator at night; this one needs a worker."""
    scene, _ = make_scene(kind=kind, options=ServerOptions(maxmemory="6mb"))
    accepted = fill(scene)

    worker = scene.worker()
    scene.until_ended(accepted)

    scene.redis.config_set("maxmemory", "100mb")  # what ended is kept, and fills the memory as well
    scene.enqueue(5, first=accepted)
    scene.until_ended(accepted + 5)
    worker.terminate()
    assert worker.wait() == 0
    figures.record(
        title="A worker starts where Redis is full",
        injected="maxmemory is reached, noeviction",
        faults=1,
        counts=scene.counts(),
        note="Producers are told; the worker drains what was accepted.",
    )
    scene.judge()
    scene.settled_once(accepted + 5)
    assert all(runs == 1 for runs in scene.runs().values())
    assert lines_of(worker, "worker.store_lost") == [], "a store that is full is not away"


def test_full_redis_takes_jobs_again_once_workers_made_room(make_scene, figures):
    """Where what ended is not kept, the drain alone makes room."""
    scene, _ = make_scene(options=ServerOptions(maxmemory="6mb"))
    accepted = fill(scene)

    worker = scene.worker(CHAOS_KEEP=0)
    scene.until(lambda: scene.count("jobs") == 0, what="an empty store")

    scene.enqueue(5, first=accepted)
    scene.until(lambda: int(scene.stats()["completed"]) == accepted + 5, what="the end of the new ones")
    worker.terminate()
    assert worker.wait() == 0
    ended = int(scene.stats()["completed"])
    figures.record(
        title="A full Redis takes jobs again once workers made room",
        injected="maxmemory is reached, noeviction",
        faults=1,
        counts=Counts(jobs=accepted + 5, lost=max(0, accepted + 5 - ended), duplicates=0, reruns=0),
        note="What ended is not kept here, so lost is told by the counter of outcomes.",
    )


def test_redis_that_cannot_save_drains_once_it_can(make_scene, figures):
    """A full disk: Redis answers MISCONF to every write, and later somebody makes room on it."""
    scene, server = make_scene(options=ServerOptions(extra=("--save", "3600 1000000")))
    scene.enqueue(50, seconds=0.02)
    worker = scene.worker()
    scene.until(lambda: scene.states()["completed"] >= 10, what="ten jobs")
    obstacle = server.folder / "dump.rdb"
    obstacle.mkdir()
    scene.redis.execute_command("BGSAVE")
    scene.until(lambda: scene.redis.info("persistence")["rdb_last_bgsave_status"] == "err", what="MISCONF")

    with scene.producer(retry_for=0.5) as producer, pytest.raises(StoreUnavailableError):
        producer.enqueue("chaos.work", {"number": 0})
    worker.wait_for_line("worker.store_lost")
    obstacle.rmdir()
    scene.redis.execute_command("BGSAVE")
    scene.until(lambda: scene.redis.info("persistence")["rdb_last_bgsave_status"] == "ok", what="a save")
    saved_ms = now_ms()

    scene.until_ended(50)
    worker.terminate()
    assert worker.wait() == 0
    figures.record(
        title="Redis cannot save, and refuses every write",
        injected="MISCONF until somebody makes room on the disk",
        faults=1,
        counts=scene.counts(),
        recovery_s=scene.resumptions([saved_ms]),
        recovery_of="from the first save that works to the next outcome that the store took",
        note="Producers are told; the worker waits, and goes on by itself.",
    )
    scene.judge()
    scene.settled_once(50)
    assert all(runs == 1 for runs in scene.runs().values())
