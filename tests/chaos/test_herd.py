"""What fails together is not tried together again."""

from collections import Counter

import pytest


@pytest.mark.parametrize(("jobs", "bin_s"), [(1000, 6), pytest.param(10_000, 1, marks=pytest.mark.slow)])
def test_jobs_that_fail_at_once_are_spread_over_their_backoff(scene, figures, jobs, bin_s):
    """A service comes back, and the first second after must not be the one that takes it down again."""
    scene.enqueue(jobs, queue="chaos.herd")
    worker = scene.worker(queue="chaos.herd")
    scene.until(
        lambda: int(scene.stats("chaos.herd").get("retried", 0)) >= jobs,
        what=f"{jobs} failures",
        timeout_s=120,
    )
    worker.terminate()
    assert worker.wait() == 0

    due = [score for _, score in scene.redis.zrange("jr:{chaos.herd}:later", 0, -1, withscores=True)]
    bins = Counter(int((at - min(due)) / (1000 * bin_s)) for at in due)
    mean = len(due) * bin_s / 60
    figures.record(
        title="Jobs that fail at once are not tried again at once",
        injected=f"{jobs:,} handlers that fail together, with a backoff of up to 60 s",
        faults=jobs,
        counts=scene.counts(drained=False, queue="chaos.herd"),
        note=f"In bins of {bin_s} s, the fullest had {max(bins.values()) / mean:.2f} times the mean of retries.",
    )
    # Anything up to 60 s is as likely as anything else. Some may be due again by now.
    assert len(due) > 0.5 * jobs
    assert len(bins) >= 0.9 * 60 / bin_s, bins
    assert max(bins.values()) <= 2 * mean, bins
