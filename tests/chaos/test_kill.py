"""Workers that are killed: no job is lost, none is settled twice, and only what was leased runs again."""

import random
import sys
import time
from pathlib import Path

import pytest
from rig.figures import NEXT_RUN, TAKEN_BACK, percentile
from rig.history import Harmed, now_ms, read_history


def storm(scene, *, jobs, workers, kills, every_s, seconds=0.15, seed=1, spared=0):
    """Kill workers that hold jobs, at random; the ids that were leased at a kill.

    So many workers that hold jobs are always left over: where none is, nobody calls the store for a while, and every lease
    gets one more.
    """
    chance = random.Random(seed)
    running = [scene.worker(wait=False) for _ in range(workers)]
    for worker in running:  # all of them, or the first has done the work before the last is there
        worker.wait_for_line("worker.started", timeout_s=60)
    scene.enqueue(jobs, seconds=seconds)
    leased = set()
    for _ in range(kills):
        time.sleep(every_s * chance.uniform(0.5, 1.5))
        victim = one_that_holds_jobs(scene, running, chance, spared=spared)
        leased |= set(scene.kill(running[victim]))
        running[victim] = scene.worker(wait=False)
    scene.until_ended(jobs, timeout_s=300)
    scene.stop()
    assert len(leased) >= kills, "most kills hit nobody who held a job: this shows nothing"
    return leased


def one_that_holds_jobs(scene, running, chance, *, spared=0):
    """The place of a worker that has leases now: one that is killed while it starts has nothing to lose."""
    found = []

    def look():
        found[:] = [place for place, worker in enumerate(running) if scene.leases(worker)]
        return len(found) > spared

    scene.until(look, what="a worker with jobs")
    return chance.choice(found)


ALL_DIE = "At times no worker lived; when one calls again after half a lease, every lease gets one more."
ONE_LIVES = "At least one worker lived at any time."


def judge(scene, jobs, leased, figures, *, title, note=ALL_DIE):
    figures.record(
        title=title,
        injected="kill -9 of a worker that holds jobs",
        faults=sum(isinstance(event, Harmed) for event in read_history(scene.folder)),
        counts=scene.counts(),
        recovery_s=scene.taken_back(),
        recovery_of=TAKEN_BACK,
        note=f"Leases of {scene.lease:g} s. {note}",
    )
    scene.judge()
    scene.settled_once(jobs)
    again = {job_id for job_id, runs in scene.runs().items() if runs > 1}
    assert again <= leased, "a job ran again that no killed worker held"
    assert scene.states()["completed"] == jobs


def test_killed_workers_lose_no_job(make_scene, figures):
    """The small storm of every test run."""
    scene, _ = make_scene(lease=1.0, max_crashes=50)
    leased = storm(scene, jobs=400, workers=3, kills=10, every_s=0.2)
    judge(scene, 400, leased, figures, title="Workers are killed, 400 jobs")


@pytest.mark.chaos
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_workers_lose_none_of_3000_jobs(make_scene, figures, seed):
    """Long enough for kills to fall into every part of an exchange."""
    scene, _ = make_scene(max_crashes=50)
    leased = storm(scene, jobs=3000, workers=4, kills=40, every_s=0.2, seed=seed, spared=1)
    judge(scene, 3000, leased, figures, title="Workers are killed, 3,000 jobs a seed", note=ONE_LIVES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_workers_lose_none_of_20000_jobs(make_scene, figures, seed):
    """The nightly storm."""
    scene, _ = make_scene(lease=3.0, max_crashes=50)
    leased = storm(scene, jobs=20_000, workers=4, kills=150, every_s=0.3, seed=seed, spared=1)
    judge(scene, 20_000, leased, figures, title="Workers are killed, 20,000 jobs a seed", note=ONE_LIVES)
    waits = scene.taken_back()
    assert percentile(tuple(waits), 0.99) <= 1.5 * scene.lease, "a lost worker's jobs are noticed too late"


@pytest.mark.chaos
@pytest.mark.parametrize("rounds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_workers_of_jobs_that_take_no_time_lose_none(make_scene, figures, rounds):
    """At full speed every exchange reserves and settles a hundred jobs, and most of what is leased has not begun."""
    scene, _ = make_scene(lease=1.0, max_crashes=50)
    producer = scene.producer()
    ids, running = [], [scene.worker() for _ in range(3)]
    for round_ in range(rounds):
        ids += scene.enqueue(1500, producer=producer, first=1500 * round_)
        victim = one_that_holds_jobs(scene, running, random.Random(round_))
        scene.kill(running[victim])
        running[victim] = scene.worker(wait=False)
    producer.close()
    scene.until_ended(len(ids), timeout_s=120)
    scene.stop()
    figures.record(
        title="Workers are killed at full speed, jobs that take no time",
        injected="kill -9 of a worker that holds jobs",
        faults=rounds,
        counts=scene.counts(),
        recovery_s=scene.taken_back(),
        recovery_of=TAKEN_BACK,
        note="Leases of 1 s. Handlers that had returned run again where the kill came before their outcome was sent. "
        + ALL_DIE,
    )
    scene.judge()
    scene.settled_once(len(ids))


@pytest.mark.chaos
def test_long_jobs_of_living_workers_run_once(scene, figures):
    """A job of three leases is renewed, and a kill of its neighbour's worker does not touch it."""
    long = set(scene.enqueue(3, seconds=3 * scene.lease))
    worker, other = scene.worker(), scene.worker()
    scene.until(lambda: len(scene.leases()) == 3, what="three leases")
    victim = other if len(scene.leases(other)) <= len(scene.leases(worker)) else worker
    leased = set(scene.kill(victim))
    scene.worker()

    scene.until_ended(3)
    scene.stop()

    figures.record(
        title="Jobs of three leases are renewed while a neighbour is killed",
        injected="kill -9 of the other worker",
        faults=1,
        counts=scene.counts(),
        recovery_s=scene.recoveries(),
        recovery_of=NEXT_RUN,
        note="All that runs again was leased by the killed worker.",
    )
    scene.judge()
    runs = scene.runs()
    assert all(runs[job_id] == 1 for job_id in long - leased)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_child_of_a_killed_worker_dies_with_it(scene, figures):
    """Its job is another worker's one lease later; a child that goes on would run it a second time beside that."""
    scene.enqueue(1, queue="chaos.hold", seconds=600)
    worker = scene.worker(queue="chaos.hold")
    scene.until(lambda: list(scene.folder.glob("hold-*")), what="the handler in the child")
    child = int(next(scene.folder.glob("hold-*")).read_text())

    killed_ms = now_ms()
    worker.kill()

    scene.until(lambda: not is_running(child), timeout_s=10, what="the child's end")
    figures.record(
        title="A worker with a child process is killed",
        injected="kill -9 of the worker, not of the child",
        faults=1,
        counts=scene.counts(drained=False, queue="chaos.hold"),
        recovery_s=[(now_ms() - killed_ms) / 1000],
        recovery_of="from the fault to the end of the child",
        note="The job's next run is not waited for.",
    )


def is_running(pid):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
