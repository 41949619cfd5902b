"""How queues are, told from their numbers: one judgement, for the command line, the API and the dashboard.

Pure: it reads no store. Who cannot read the numbers at all has `unhealthy` to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobrunner.views import Health, QueueStats

WAITING_LONG_MS = 15 * 60_000
"""Milliseconds that the first job in line may wait before its queue counts as degraded."""


def assess(stats: Sequence[QueueStats]) -> Health:
    """Say how queues are.

    A queue that has jobs to do and no worker, or whose first job has waited for long, is `degraded`: jobs are safe, and
    workers are missing. `unhealthy` is kept for a store that does not answer, which has no numbers; see `away`.

    Args:
        stats: The queues' numbers.

    Returns:
        `healthy`, or `degraded` with what is wrong in plain words, what stands still first.
    """
    still, slow = [], []
    for one in stats:
        if one.waiting and not one.workers:
            there = f"{one.waiting:,} {'job waits' if one.waiting == 1 else 'jobs wait'}"
            still.append(f"{one.name}: {there} and no worker serves the queue")
        elif one.delayed and not one.workers:
            there = f"{one.delayed:,} {'job is' if one.delayed == 1 else 'jobs are'} delayed"
            slow.append(f"{one.name}: {there} and no worker serves the queue")
        if (one.oldest_waiting_ms or 0) > WAITING_LONG_MS and not one.paused:
            minutes = (one.oldest_waiting_ms or 0) // 60_000
            slow.append(f"{one.name}: the first job in line has waited for {minutes:,} minutes")
    return Health(
        status="degraded" if still or slow else "healthy",
        total_jobs=sum(one.total for one in stats),
        active_jobs=sum(one.active for one in stats),
        failed_jobs=sum(one.failed for one in stats),
        problems=still + slow,
        queues=list(stats),
    )


def away(why: str = "the store does not answer") -> Health:
    """How queues are where the store tells nothing of them: `unhealthy`, and nothing is known.

    Args:
        why: In plain words.
    """
    return Health(
        status="unhealthy",
        total_jobs=0,
        active_jobs=0,
        failed_jobs=0,
        problems=[why],
        queues=[],
    )
