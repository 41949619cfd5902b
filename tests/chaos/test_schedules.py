"""Three processes keep schedules, and are killed and frozen: each slot has one job, and none is left out."""

import json
import random
import sys
import time

import pytest
from rig.figures import Counts

from jobrunner_schedules import Schedule, Schedules

from .scene import QUEUE

SECOND = 1000


def keep(scene):
    """Start a process that keeps the schedules."""
    command = [sys.executable, "-m", "jobrunner", "schedules", "run"]
    process = scene._start(command, env=scene.environ, cwd=scene.folder)
    process.wait_for_line("keeping ")
    return process


def storm(scene, book, names, *, seconds, chance):
    """Kill or freeze one keeper after the other; how often either was done, and the keepers that are left."""
    keepers = [keep(scene) for _ in range(3)]
    killed = frozen = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 0.5))
        at = chance.randrange(3)
        if chance.random() < 0.5:
            keepers[at].kill()
            keepers[at].wait()
            keepers[at] = keep(scene)
            killed += 1
        else:
            keepers[at].freeze()
            time.sleep(chance.uniform(0.2, 1.5))
            keepers[at].thaw()
            frozen += 1
    until = book.now_ms()
    scene.until(lambda: all(book.get(name).next_at > until for name in names), what="the slots of the storm")
    return killed, frozen, keepers


def each_slot_once(scene, figures, *, schedules, seconds, seed):
    with scene.producer() as client:
        book = Schedules(client)
        names = [f"s{k:02}" for k in range(schedules)]
        for number, name in enumerate(names):
            book.put(name, Schedule(queue=QUEUE, payload={"number": number}, every="1s", missed="all"))
        first = {name: book.get(name).next_at for name in names}
        killed, frozen, keepers = storm(scene, book, names, seconds=seconds, chance=random.Random(seed))
        for keeper in keepers:
            keeper.terminate()
        assert [keeper.wait() for keeper in keepers] == [0, 0, 0]
        wanted = {
            f"{name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(slot / 1000))}": slot
            for name in names
            for slot in range(first[name], book.get(name).next_at, SECOND)
        }
    found = {
        name.decode(): json.loads(raw)[0] for name, raw in scene.redis.hgetall(f"jr:{{{QUEUE}}}:jobs").items()
    }
    for job_id in wanted:
        scene.history.accepted(job_id)
    scene.burst()
    counts = scene.counts()
    figures.record(
        title="Processes that keep schedules are killed and frozen",
        injected="kill -9, or SIGSTOP for up to 1.5 s, of one of three keepers",
        faults=killed + frozen,
        counts=Counts(
            jobs=len(wanted),
            lost=counts.lost,
            duplicates=counts.duplicates + len(found.keys() - wanted.keys()),
            reruns=counts.reruns,
        ),
        recovery_s=[
            max(0, found[job_id] - slot) / 1000 for job_id, slot in wanted.items() if job_id in found
        ],
        recovery_of="from each slot to its job",
        note=f"{killed} kills and {frozen} freezes; {schedules} schedules of one second each. A job is a slot.",
    )
    assert found.keys() == wanted.keys()
    assert int(scene.stats()["enqueued"]) == len(wanted), "a slot was taken in twice"
    scene.judge()
    scene.settled_once(len(wanted))


@pytest.mark.chaos
def test_killed_and_frozen_keepers_fire_each_slot_once(scene, figures):
    """A hundred slots and more."""
    each_slot_once(scene, figures, schedules=10, seconds=10, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_keepers_that_are_killed_and_frozen_again_and_again_fire_each_slot_once(scene, figures, seed):
    """A thousand slots and more."""
    each_slot_once(scene, figures, schedules=20, seconds=50, seed=seed)
