"""Redis goes away and comes back: nothing that was acknowledged is lost, nothing is run again."""

import time

import pytest
from rig.servers import ServerOptions


def restarts(scene, server, *, jobs, rounds):
    worker, other = scene.worker(), scene.worker()
    done = 0
    for _ in range(rounds):
        with scene.producer() as producer:
            scene.enqueue(jobs, first=done, producer=producer, seconds=0.05)
        done += jobs
        scene.until(lambda: len(scene.leases()) >= 5, what="leases")
        server.kill()
        time.sleep(0.5)
        server.restart()
        scene.redis = server.client()
        scene.until_ended(done, timeout_s=60)
    for process in (worker, other):
        assert process.alive
        assert '"worker.store_recovered"' in process.output()
    scene.stop()
    scene.judge()
    scene.settled_once(done)
    assert all(runs == 1 for runs in scene.runs().values()), "a job ran again for the outage"


@pytest.mark.parametrize("appendonly", ["everysec", pytest.param("always", marks=pytest.mark.chaos)])
def test_redis_that_is_killed_and_restarted_loses_and_repeats_nothing(make_scene, appendonly):
    """The most common complaint of the field: the worker that stays up and does nothing after a blip."""
    scene, server = make_scene(options=ServerOptions(appendonly=appendonly))
    restarts(scene, server, jobs=100, rounds=1)


@pytest.mark.chaos
def test_redis_that_is_killed_again_and_again_loses_and_repeats_nothing(make_scene):
    """Eight times, under load."""
    scene, server = make_scene(options=ServerOptions(appendonly="everysec"))
    restarts(scene, server, jobs=200, rounds=8)


def test_redis_that_stands_still_for_three_leases_repeats_nothing(make_scene):
    """Every lease ran out meanwhile, and everybody lives: the grace keeps all of them."""
    scene, server = make_scene(lease=1.0)
    scene.enqueue(5, seconds=6.0)
    worker, other = scene.worker(), scene.worker()
    scene.until(lambda: len(scene.leases()) == 5, what="five leases")

    server.pause()
    time.sleep(3 * scene.lease)
    server.resume()

    scene.until_ended(5)
    assert all(runs == 1 for runs in scene.runs().values())
    scene.stop()
    scene.judge()
    assert worker.wait() == other.wait() == 0


@pytest.mark.chaos
def test_scripts_that_are_flushed_all_the_time_are_sent_again(scene):
    """A failover forgets all scripts, and so does an operator's SCRIPT FLUSH."""
    scene.enqueue(500, seconds=0.01)
    scene.worker()
    while scene.states()["completed"] < 500:
        scene.redis.script_flush()
        time.sleep(0.05)
    scene.stop()
    scene.judge()
    scene.settled_once(500)
