"""Workers whose clock is wrong: only the server's counts, so nothing runs early, twice, or never."""

import json
import time
from pathlib import Path

import pytest
from rig.figures import NEXT_RUN
from rig.history import Started, read_history

pytestmark = pytest.mark.long

WRONG_CLOCK = Path(__file__).with_name("wrong_clock")


def wrong_worker(scene, seconds):
    path = f"{WRONG_CLOCK}:{scene.environ['PYTHONPATH']}"
    return scene.worker(PYTHONPATH=path, CHAOS_CLOCK=seconds)


@pytest.mark.parametrize("hours", [1, -1])
def test_workers_an_hour_off_change_nothing(make_scene, figures, hours):
    """One is right and one is wrong by an hour; jobs are retried, delayed, and lose a worker."""
    scene, _ = make_scene(lease=1.0)
    wrong, right = wrong_worker(scene, hours * 3600), scene.worker()
    stamps = [line for line in wrong.output().splitlines() if "worker.started" in line]
    told = json.loads(stamps[0])["timestamp"]
    assert told[11:13] == time.strftime("%H", time.gmtime(time.time() + hours * 3600)), (
        "its clock is not wrong"
    )

    scene.enqueue(40, seconds=0.02)
    again = scene.enqueue(10, how="retry")
    with scene.producer() as producer:
        begun = time.monotonic_ns() // 1_000_000
        later = [producer.enqueue("chaos.work", {"number": k}, delay=1.5) for k in range(10)]
    for handle in later:
        scene.history.accepted(handle.id)
    scene.until_ended(60)
    long = scene.enqueue(2, seconds=4 * scene.lease)
    scene.until(lambda: len(scene.leases()) == 2, what="two leases")
    leased = set(scene.kill(right))
    scene.until_ended(62)
    scene.stop()

    figures.record(
        title="A worker's clock is an hour off",
        injected="a clock that is an hour fast, or slow; then kill -9 of the worker that is right",
        faults=2,
        counts=scene.counts(),
        recovery_s=scene.recoveries(),
        recovery_of=NEXT_RUN,
        note="Nothing ran early: only the server's clock counts.",
    )
    scene.judge()
    scene.settled_once(62)
    runs = scene.runs()
    twice = {job_id for job_id, number in runs.items() if number > 1}
    assert set(again) <= twice <= {*again, *leased}, (
        "one that was leased may not have begun when its worker was killed"
    )
    assert leased <= set(long)
    first = {}
    for event in read_history(scene.folder):
        if isinstance(event, Started):
            first.setdefault(event.job_id, event.at_ms)
    # The server counts in whole milliseconds, and so does the history.
    assert min(first[handle.id] for handle in later) >= begun + 1500 - 2, "a delayed job ran early"
