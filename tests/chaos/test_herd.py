"""What fails together is not tried together again."""

from collections import Counter


def test_thousand_jobs_that_fail_at_once_are_spread_over_their_backoff(scene):
    """A service comes back, and the first second after must not be the one that takes it down again."""
    scene.enqueue(1000, queue="chaos.herd")
    worker = scene.worker(queue="chaos.herd")
    scene.until(lambda: int(scene.stats("chaos.herd").get("retried", 0)) >= 1000, what="a thousand failures")
    worker.terminate()
    assert worker.wait() == 0

    due = [score for _, score in scene.redis.zrange("jr:{chaos.herd}:later", 0, -1, withscores=True)]
    bins = Counter(int((at - min(due)) / 6000) for at in due)
    # Anything up to 60 s is as likely as anything else: about a hundred fall into each tenth of it.
    assert len(due) > 900, "some may be due again by now"
    assert len(bins) >= 9, bins
    assert max(bins.values()) <= 2 * len(due) / 10, bins
