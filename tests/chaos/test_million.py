"""A million jobs in each state, a million due at once: no script holds Redis up, and all of it drains."""

import datetime as dt
import sys

import pytest

from .crowd import QUEUE, Crowd, Watch

LONG_MS = 20.0
"""What 99 of 100 runs of scripts must stay under in the long version, however busy the machine is; the longest one of all
is written down, and not judged: where others use the processors, it is the time that the server waited for one.
"""


@pytest.mark.parametrize(
    "number",
    [pytest.param(20_000, marks=pytest.mark.chaos), pytest.param(1_000_000, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.slow)])
def test_very_many_jobs_due_at_once_hold_nobody_up(make_scene, start_process, figures, kind, number):
    """As many waiting, completed and delayed; then the completed ones are cleared while the others are drained."""
    scene, server = make_scene(kind=kind)
    crowd = Crowd(scene)
    with Watch(server) as watch:
        crowd.enqueue(number)
        first = crowd.worker(CHAOS_KEEP=10 * number)
        crowd.until_drained()
        first.terminate()
        assert first.wait() == 0
        due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3 + number / 8000)
        crowd.enqueue(number, at=due)
        crowd.enqueue(number)
        lying = [crowd.count(part) for part in ("done", "later", "wait")]
        scene.until(lambda: dt.datetime.now(dt.UTC) > due, timeout_s=600, what="the time when all is due")

        crowd.worker(CHAOS_KEEP=10 * number)
        words = ("clear", QUEUE, "--status", "completed", "--yes")
        clear = start_process([sys.executable, "-m", "jobrunner", *words], env=scene.environ)
        assert clear.wait(timeout_s=600) == 0
        crowd.until_drained()

    times, counts = watch.scripts_ms, crowd.counts()
    figures.record(
        title=f"{number:,} jobs waiting, {number:,} completed, {number:,} delayed, on {kind.capitalize()}",
        injected="all delayed jobs due at once, while all completed ones are cleared",
        faults=1,
        counts=counts,
        note=f"{watch.told()} Counted by the store's counters.",
    )
    assert lying == [number] * 3, "the scenario is not what it says"
    assert (counts.lost, counts.duplicates, counts.reruns) == (0, 0, 0)
    assert [crowd.count(part) for part in ("wait", "later", "active", "lease")] == [0] * 4
    assert number <= int(clear.output().split()[0].replace(",", ""))
    assert crowd.count("jobs") == crowd.count("done") <= 2 * number
    scene.stop()
    assert number < 1_000_000 or times["p99"] < LONG_MS, watch.told()
