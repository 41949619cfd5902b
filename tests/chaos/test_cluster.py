"""A cluster under load: slots move, and nothing is lost, doubled or refused for good."""

import threading

import pytest
import redis
from rig.history import now_ms

from .scene import Scene

pytestmark = pytest.mark.cluster


def scene_on(cluster, tmp_path, start_process, **more):
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.nodes[0].port)
    return Scene(tmp_path, cluster.url, client, start_process, **more)


@pytest.fixture
def in_background():
    """Return a function that runs another one in a thread, and one that waits for all of them."""
    threads, errors = [], []

    def start(work):
        def run():
            try:
                work()
            except BaseException as error:
                errors.append(error)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    def wait():
        for thread in threads:
            thread.join(120)
        assert not errors, errors

    yield start, wait
    for thread in threads:
        thread.join(120)


def test_slot_that_moves_under_load_loses_and_repeats_nothing(
    start_cluster, start_process, tmp_path, in_background, figures
):
    """An operator who adds a node must not have to stop the workers."""
    cluster, (start, wait) = start_cluster(), in_background
    scene = scene_on(cluster, tmp_path, start_process)
    scene.worker(), scene.worker()
    slot, number, batch = cluster.slot("{chaos.work}"), 2000, 100

    def produce():
        with scene.producer() as producer:
            for first in range(0, number, batch):
                scene.enqueue(batch, first=first, producer=producer, seconds=0.01)

    start(produce)
    moves, moved_ms = 0, []
    while moves < 6 or scene.states()["completed"] < number:
        if moves < 6:
            here = cluster.owner(slot)
            cluster.move_slot(slot, to=cluster.nodes[(cluster.nodes.index(here) + 1) % 3])
            moved_ms.append(now_ms())
            moves += 1
        scene.until_ended(min(number, moves * batch), timeout_s=120)
    wait()

    scene.stop()
    figures.record(
        title="Cluster: the queue's slot moves under load",
        injected="MIGRATE of the slot's keys to another node, one by one",
        faults=moves,
        counts=scene.counts(),
        recovery_s=scene.resumptions(moved_ms),
        recovery_of="from the end of a move to the next outcome that the store took",
    )
    scene.judge()
    scene.settled_once(number)
    assert all(runs == 1 for runs in scene.runs().values()), "a job ran again for the move"
    for worker in scene.workers:
        assert "CROSSSLOT" not in worker.output()
        assert '"worker.duty_restarted"' not in worker.output()
