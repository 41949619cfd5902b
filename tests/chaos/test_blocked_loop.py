"""Handlers that hold the event loop or Python's lock: their leases are renewed all the same."""

import json

import msgspec
import pytest


@pytest.mark.parametrize(
    ("jobs", "workers", "lease"),
    [
        (1, 2, 2.0),
        # Five on one worker, one after the other: the loop does not tick for 25 leases, and is alive all the same.
        pytest.param(5, 2, 1.0, marks=pytest.mark.chaos),
        pytest.param(200, 8, 1.0, marks=pytest.mark.slow),
    ],
)
def test_handler_that_blocks_the_loop_for_five_leases_runs_once(make_scene, figures, jobs, workers, lease):
    """`time.sleep` in an async handler is the most common mistake there is."""
    scene, _ = make_scene(lease=lease)
    ids = scene.enqueue(jobs, seconds=5 * scene.lease, how="block")
    for _ in range(workers):
        scene.worker()

    scene.until_ended(jobs, timeout_s=90 + 5 * lease * jobs)
    scene.stop()

    figures.record(
        title="Handlers block the event loop for five leases",
        injected="time.sleep in an async handler",
        faults=jobs,
        counts=scene.counts(),
        note="A thread of its own renews the leases: nothing has to recover.",
    )
    assert scene.runs() == dict.fromkeys(ids, 1)
    scene.judge()
    lines = [json.loads(line) for worker in scene.workers for line in worker.output().splitlines()]
    blocked = [line for line in lines if line["event"] == "worker.loop_blocked"]
    assert blocked[0]["queue"] == "chaos.work"
    assert "time.sleep" in blocked[0]["stack"]


@pytest.mark.chaos
@pytest.mark.parametrize("jobs", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_process_handler_that_holds_pythons_lock_for_three_leases_runs_once(scene, figures, jobs):
    """Native code that never gives the lock up stops its own process, not the worker's renewals."""
    scene.enqueue(jobs, queue="chaos.hold", seconds=3 * scene.lease)
    scene.worker(queue="chaos.hold")
    scene.worker(queue="chaos.hold")

    scene.until_ended(jobs, queue="chaos.hold", timeout_s=90 + 3 * scene.lease * jobs)
    scene.stop()

    runs = len(list(scene.folder.glob("hold-*")))
    counts = scene.counts(queue="chaos.hold")
    figures.record(
        title="Process handlers hold Python's lock for three leases",
        injected="native code that does not give the lock up",
        faults=jobs,
        counts=msgspec.structs.replace(counts, reruns=runs - jobs),
        note="The worker renews the leases of its children: nothing has to recover.",
    )
    assert runs == jobs
    assert scene.states("chaos.hold")["completed"] == jobs
