"""A primary is cut off from its replica and the Sentinels, which promote the replica, while its clients still reach it.

For a while there are two primaries. What the old one took in meanwhile is dropped when it is told to follow.
"""

import pytest
from rig.history import Ended, read_history
from rig.split import Split

from .load import Load
from .scene import Scene


@pytest.fixture
def split_setup(start_sentinels):
    """Sentinels that reach the first primary by way of something that can be cut, and that something."""
    splits = []

    def before(server):
        splits.append(Split(server.port))
        return splits[-1].port

    yield start_sentinels(front=before), splits[-1]
    splits[-1].close()


@pytest.mark.parametrize(
    ("before", "apart"),
    [pytest.param(50, 100, marks=pytest.mark.chaos), pytest.param(2000, 2000, marks=pytest.mark.slow)],
)
def test_partition_and_promotion_lose_only_what_no_replica_confirmed(
    split_setup, start_process, tmp_path, figures, before, apart
):
    """Two producers at once, one that waits for a replica's word and one that does not: only the second one's jobs go.

    `before` and `apart` are the jobs that the latter enqueues until the cut, and while there are two primaries.
    """
    setup, split = split_setup
    old = setup.primary()
    scene = Scene(tmp_path, setup.url, old.client(), start_process)
    scene.worker(), scene.worker()

    with Load(scene, durability="replicated") as safe, Load(scene) as plain:
        plain.wait_for(before)
        split.cut()
        new = setup.wait_for_promotion(old=old)
        plain.wait_for(apart)
        confirmed_apart = len(safe.ids)
        split.heal()
        safe.wait_for(before)
        assert setup.primary() is new
    scene.redis = new.client()
    scene.until(
        lambda: scene.count("wait") == scene.count("later") == 0 and not scene.leases(), what="an empty queue"
    )
    scene.stop()

    there, counts = scene.dump().states, scene.counts()
    ran = {event.job_id for event in read_history(scene.folder) if isinstance(event, Ended)}
    gone = [job_id for job_id in plain.ids if job_id not in there]
    figures.record(
        title="Sentinel: the primary is cut off from its replica, which is promoted",
        injected="a partition, with two primaries for a while",
        faults=1,
        counts=counts,
        promised=False,
        note=f'{len(safe.ids):,} jobs were enqueued with durability="replicated", of which '
        f"{sum(job_id not in there for job_id in safe.ids)} were lost (0 is promised), and {len(plain.ids):,} without, of "
        f"which {len(gone):,} were lost ({sum(job_id in ran for job_id in gone):,} of them had run on the old side).",
    )
    assert confirmed_apart > 0
    assert [job_id for job_id in safe.ids if there.get(job_id) != ("completed",)] == [], "confirmed, and gone"
    assert gone, "nothing was lost: there was no partition"
    assert counts.lost == len(gone)
