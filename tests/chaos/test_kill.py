"""Workers that are killed: no job is lost, none is settled twice, and only what was leased runs again."""

import random
import time

import pytest


def storm(scene, *, jobs, workers, kills, every_s, seed):
    """Kill workers at random while jobs flow; the ids that were leased at a kill, and the slowest recovery."""
    chance = random.Random(seed)
    scene.enqueue(jobs, seconds=0.02)
    running = [scene.worker() for _ in range(workers)]
    leased = set()
    for _ in range(kills):
        time.sleep(every_s * chance.uniform(0.5, 1.5))
        victim = chance.randrange(workers)
        leased |= set(scene.kill(running[victim]))
        running[victim] = scene.worker(wait=False)
    scene.until_ended(jobs, timeout_s=180)
    scene.stop()
    return leased


def judge(scene, jobs, leased):
    scene.judge()
    scene.settled_once(jobs)
    again = {job_id for job_id, runs in scene.runs().items() if runs > 1}
    assert again <= leased, "a job ran again that no killed worker held"
    assert scene.states()["completed"] == jobs


def test_killed_workers_lose_no_job(scene):
    """The small storm of every test run."""
    leased = storm(scene, jobs=400, workers=3, kills=8, every_s=0.35, seed=1)
    judge(scene, 400, leased)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_workers_lose_none_of_3000_jobs(scene, seed):
    """Long enough for kills to fall into every part of an exchange."""
    leased = storm(scene, jobs=3000, workers=4, kills=40, every_s=0.4, seed=seed)
    judge(scene, 3000, leased)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_workers_lose_none_of_20000_jobs(scene, seed):
    """The nightly storm."""
    leased = storm(scene, jobs=20_000, workers=4, kills=150, every_s=0.3, seed=seed)
    judge(scene, 20_000, leased)


def test_long_jobs_of_living_workers_run_once(scene):
    """A job of three leases is renewed, and a kill of its neighbour's worker does not touch it."""
    long = set(scene.enqueue(3, seconds=3 * scene.lease))
    worker, other = scene.worker(), scene.worker()
    scene.until(lambda: len(scene.leases()) == 3, what="three leases")
    victim = other if len(scene.leases(other)) <= len(scene.leases(worker)) else worker
    leased = set(scene.kill(victim))
    scene.worker()

    scene.until_ended(3)
    scene.stop()

    scene.judge()
    runs = scene.runs()
    assert all(runs[job_id] == 1 for job_id in long - leased)
