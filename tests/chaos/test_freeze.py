"""A worker that is frozen past its lease and comes back: what it says then is refused."""

import random

import pytest
from rig.figures import NEXT_RUN
from rig.history import Harmed, read_history

ALONE = (
    "; the frozen worker was alone, and as nobody called until another one started, every lease got one more"
)


def freeze_and_thaw(scene, rounds):
    for round_ in range(rounds):
        one_round(scene, round_)


def judge(scene, jobs, figures, more=""):
    figures.record(
        title="Workers are frozen past their leases and come back",
        injected="SIGSTOP of a worker that holds jobs until others ended them, then SIGCONT",
        faults=sum(isinstance(event, Harmed) for event in read_history(scene.folder)),
        counts=scene.counts(),
        recovery_s=scene.recoveries(),
        recovery_of=NEXT_RUN,
        note=f"The store refused {int(scene.stats()['stale']):,} late outcomes and renewals; no result was written over. "
        f"Leases of {scene.lease:g} s{more}.",
    )
    scene.judge()
    scene.settled_once(jobs)


def one_round(scene, round_):
    jobs = 3 * (round_ + 1)
    frozen = scene.worker()
    ids = scene.enqueue(3, first=3 * round_, seconds=0.3)
    scene.until(lambda: len(scene.leases(frozen)) == 3, what="three leases of the worker that will freeze")
    held = scene.freeze(frozen)
    other = scene.worker()
    scene.until_ended(jobs)
    before = scene.dump()

    thaw(scene, frozen, held)

    assert scene.dump().results == before.results, "a result was written over"
    assert set(held) <= set(ids)
    assert int(scene.stats()["stale"]) >= len(held) * (round_ + 1)
    frozen.terminate()
    other.terminate()
    assert (frozen.wait(), other.wait()) == (0, 0)


def thaw(scene, frozen, held):
    """Let it go on, and wait until it was refused each job that it held."""
    refused = frozen.output().count('"job.lease_lost"')
    frozen.thaw()
    scene.until(
        lambda: frozen.output().count('"job.lease_lost"') >= refused + len(held),
        what="a refusal for each lease",
    )


def test_frozen_worker_cannot_write_over_a_newer_run(scene, figures):
    """A laptop lid, a paused virtual machine: the zombie must not win."""
    freeze_and_thaw(scene, 1)
    judge(scene, 3, figures, ALONE)


@pytest.mark.chaos
def test_frozen_workers_are_refused_each_time(scene, figures):
    """Ten rounds, since the moment of the freeze matters."""
    freeze_and_thaw(scene, 10)
    judge(scene, 30, figures, ALONE)


@pytest.mark.slow
def test_workers_that_are_frozen_again_and_again_never_win(make_scene, figures):
    """The same workers over and over: what they carry from one freeze to the next must not add up."""
    scene, _ = make_scene(lease=1.0, max_crashes=50)
    workers, chance = [scene.worker() for _ in range(3)], random.Random(1)
    rounds = 75
    for round_ in range(rounds):
        scene.enqueue(15, first=15 * round_, seconds=0.3)
        scene.until(lambda: any(map(scene.leases, workers)), what="leases")
        frozen = chance.choice([worker for worker in workers if scene.leases(worker)] or workers)
        held = scene.freeze(frozen)
        scene.until_ended(15 * (round_ + 1))
        before = scene.dump()
        thaw(scene, frozen, held)
        assert scene.dump().results == before.results, "a result was written over"
    assert all(worker.alive for worker in workers)
    scene.stop()
    judge(scene, 15 * rounds, figures)
