"""Handlers that hold the event loop or Python's lock: their leases are renewed all the same."""

import json

import pytest


def test_handler_that_blocks_the_loop_for_five_leases_runs_once(scene):
    """`time.sleep` in an async handler is the most common mistake there is."""
    ids = scene.enqueue(1, seconds=5 * scene.lease, how="block")
    worker = scene.worker()
    other = scene.worker()

    scene.until_ended(1)
    scene.stop()

    assert scene.runs() == {ids[0]: 1}
    scene.judge()
    lines = [json.loads(line) for line in (worker.output() + other.output()).splitlines()]
    blocked = [line for line in lines if line["event"] == "worker.loop_blocked"]
    assert blocked[0]["queue"] == "chaos.work"
    assert "time.sleep" in blocked[0]["stack"]


@pytest.mark.chaos
def test_process_handler_that_holds_pythons_lock_for_three_leases_runs_once(scene):
    """Native code that never gives the lock up stops its own process, not the worker's renewals."""
    scene.enqueue(1, queue="chaos.hold", seconds=3 * scene.lease)
    scene.worker(queue="chaos.hold")
    scene.worker(queue="chaos.hold")

    scene.until_ended(1, queue="chaos.hold")
    scene.stop()

    assert len(list(scene.folder.glob("hold-*"))) == 1
    assert scene.states("chaos.hold")["completed"] == 1
