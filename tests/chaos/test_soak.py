"""A worker runs on and on: neither it nor Redis grows with the jobs that have come and gone."""

from pathlib import Path

import msgspec
import pytest

from .crowd import QUEUE, Crowd

ROUNDS = 20
WARM = 4
"""Rounds until the worker and the server have what they need: code, buffers, the kept jobs."""

EVENTS_AT_MOST = 11_000
"""Entries of the event stream: its cap is 10,000, and Redis cuts it by whole nodes of about a hundred."""

FORGOTTEN_S = 300.0
"""Seconds in which the ids of ended jobs are forgotten: they are remembered for 120, and a worker looks every 20."""


class Sample(msgspec.Struct, frozen=True):
    """What the server and a worker hold while no job is there."""

    redis: int
    """Bytes of the server's data, without what has a bound of its own, which a short run does not reach: the ids that
    are remembered for two minutes, and the event stream.
    """
    worker: int
    """Bytes of the worker's memory."""
    files: int
    """Open file descriptors of the worker."""
    events: int
    """Entries of the event stream."""


def sample(crowd, worker):
    status = Path(f"/proc/{worker.pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    bounded = [
        crowd.redis.memory_usage(f"jr:{{{QUEUE}}}:{part}", samples=0) or 0 for part in ("seen", "events")
    ]
    return Sample(
        redis=int(crowd.redis.info("memory")["used_memory_dataset"]) - sum(bounded),
        worker=int(resident.split()[1]) << 10,
        files=sum(1 for _ in Path(f"/proc/{worker.pid}/fd").iterdir()),
        events=crowd.redis.xlen(f"jr:{{{QUEUE}}}:events"),
    )


def growth(samples, field):
    """How much a figure grows over the samples by the line that fits them best."""
    values = [getattr(one, field) for one in samples]
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    over = sum((at - middle) * (value - mean) for at, value in enumerate(values))
    return over / sum((at - middle) ** 2 for at in range(len(values))) * (len(values) - 1)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells what a process holds in /proc"
)
@pytest.mark.parametrize(
    ("number", "grows_mib"),
    [pytest.param(100_000, 24, marks=pytest.mark.chaos), pytest.param(2_000_000, 10, marks=pytest.mark.slow)],
)
def test_redis_and_a_worker_hold_no_more_after_very_many_jobs(make_scene, figures, number, grows_mib):
    """What leaks a byte a job is down after a month; here it is seen within minutes.

    `grows_mib` is what a worker's memory may grow by: a short run is over before it has all that it needs.
    """
    scene, _ = make_scene()
    crowd = Crowd(scene)
    worker = crowd.worker()
    samples, is_long = [], number > 100_000
    for _ in range(ROUNDS):
        crowd.enqueue(number // ROUNDS)
        crowd.until_drained()
        samples.append(sample(crowd, worker))
    steady = samples[WARM:]
    last = samples[-1]
    remembered = crowd.count("seen")
    if is_long:
        scene.until(lambda: crowd.count("seen") == 0, timeout_s=FORGOTTEN_S, what="the end of all memory")
        last = sample(crowd, worker)
    worker.terminate()
    assert worker.wait() == 0

    redis, resident = growth(steady, "redis"), growth(steady, "worker")
    counts = crowd.counts()
    figures.record(
        title=f"{number:,} jobs that take no time, through one worker",
        injected="none but time: a long run",
        faults=1,
        counts=counts,
        note=f"After {WARM} of {ROUNDS} rounds, until the last: Redis grew by {redis / 1024:+,.0f} KiB (of "
        f"{steady[0].redis / 1024:,.0f}; besides, {remembered:,} ids are remembered for two minutes), the worker by "
        f"{resident / 1024:+,.0f} KiB (of {steady[0].worker >> 20} MiB); its open files: {steady[0].files} at first, "
        f"{last.files} at the end; the event stream held at most {max(one.events for one in samples):,} entries. "
        "Counted by the store's counters.",
    )
    assert (counts.lost, counts.duplicates, counts.reruns) == (0, 0, 0)
    assert crowd.count("done") == crowd.count("jobs") <= 1000 + 150, "more is kept than the queue says"
    assert max(one.events for one in samples) <= EVENTS_AT_MOST
    assert max(one.files for one in steady) <= steady[0].files + 2, "descriptors leak"
    assert resident < grows_mib << 20, "the worker grows"
    # A byte for each id that is remembered: what Redis says of their memory is no more exact than that.
    assert redis < steady[0].redis / 100 + (64 << 10) + remembered, "Redis grows"
    assert not is_long or last.redis < steady[0].redis * 1.05 + (64 << 10), "what was forgotten is there"
