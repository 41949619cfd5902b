"""A worker that is frozen past its lease and comes back: what it says then is refused."""

import pytest


def freeze_and_thaw(scene, rounds):
    for round_ in range(rounds):
        one_round(scene, round_)
    scene.judge()
    scene.settled_once(3 * rounds)


def one_round(scene, round_):
    jobs = 3 * (round_ + 1)
    frozen = scene.worker()
    ids = scene.enqueue(3, first=3 * round_, seconds=0.3)
    scene.until(lambda: len(scene.leases(frozen)) == 3, what="three leases of the worker that will freeze")
    held = scene.freeze(frozen)
    other = scene.worker()
    scene.until_ended(jobs)
    before = scene.dump()

    frozen.thaw()
    frozen.wait_for_line("job.lease_lost")
    scene.until(
        lambda: frozen.output().count('"job.lease_lost"') >= len(held), what="a refusal for each lease"
    )

    assert scene.dump().results == before.results, "a result was written over"
    assert set(held) <= set(ids)
    assert int(scene.stats()["stale"]) >= len(held) * (round_ + 1)
    frozen.terminate()
    other.terminate()
    assert (frozen.wait(), other.wait()) == (0, 0)


def test_frozen_worker_cannot_write_over_a_newer_run(scene):
    """A laptop lid, a paused virtual machine: the zombie must not win."""
    freeze_and_thaw(scene, 1)


@pytest.mark.chaos
def test_frozen_workers_are_refused_each_time(scene):
    """Ten rounds, since the moment of the freeze matters."""
    freeze_and_thaw(scene, 10)
