"""Who holds a slot, a turn or a unique key is killed: what it held is free again, and was never held twice."""

import random
import subprocess
import sys
import time
from itertools import count

import pytest
from rig.figures import TAKEN_BACK
from rig.history import Ended, Harmed, Started, read_history

from .scene import QUEUE
from .test_kill import one_that_holds_jobs

TENANTS = ("acme", "globex", "initech")
ALL_AT_ONCE, EACH_AT_ONCE = 6, 3
KEYS = 4
HELD = ("lease", "active", "held", "turns", "unique", "uniques", "parked")
"""Keys of the store that are there while somebody holds something, or waits to."""


def limit(scene, *words):
    """Set limits of the queue by hand, as an operator does."""
    command = [sys.executable, "-m", "jobrunner", "limits", QUEUE, *words]
    subprocess.run(command, env=scene.environ, check=True, capture_output=True, timeout=60)


class Stream:
    """A producer whose jobs are for some tenant, and every third has a unique key; their ids and what they are for."""

    def __init__(self, scene):
        self.scene = scene
        self.tenant_of, self.key_of = {}, {}
        self.refused = 0
        self._numbers = count()
        self._producer = scene.producer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._producer.close()

    def enqueue(self, jobs, *, seconds=0.25):
        """Enqueue so many; one whose key is taken is not taken in, and counts as refused."""
        for _ in range(jobs):
            number = next(self._numbers)
            tenant = TENANTS[number % len(TENANTS)]
            unique = f"key-{number % KEYS}" if number % 3 == 0 else None
            handle = self._producer.enqueue(
                QUEUE, {"number": number, "seconds": seconds}, tenant=tenant, unique=unique
            )
            if not handle.created:
                self.refused += 1
                continue
            self.scene.history.accepted(handle.id)
            self.tenant_of[handle.id] = tenant
            if unique:
                self.key_of[handle.id] = tenant, unique

    def takes_every_key(self):
        """Whether each key can be had now."""
        return all(
            self._producer.enqueue(QUEUE, {"number": 0}, tenant=tenant, unique=f"key-{key}").created
            for tenant in TENANTS
            for key in range(KEYS)
        )


def most_at_once(scene, group_of):
    """Of each group the most jobs that ran at one time, by what handlers and kills wrote down.

    A run begins with its handler, and ends with it or with its worker.
    """
    events = read_history(scene.folder)
    ends = {(one.job_id, one.nonce): one.at_ms for one in events if isinstance(one, Ended)}
    for harm in (one for one in events if isinstance(one, Harmed)):
        for job_id, nonce in harm.leased.items():
            ends.setdefault((job_id, nonce), harm.since_ms)
    moments = []
    for run in (one for one in events if isinstance(one, Started)):
        if (group := group_of.get(run.job_id)) is not None:
            moments += [(run.at_ms, 1, group), (ends[run.job_id, run.nonce], -1, group)]
    now, most = {}, {}
    for _, change, group in sorted(
        moments, key=lambda moment: moment[:2]
    ):  # what ends in a ms goes before what begins
        now[group] = now.get(group, 0) + change
        most[group] = max(most.get(group, 0), now[group])
    return most


@pytest.mark.chaos
@pytest.mark.parametrize("kills", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_killed_holders_leave_no_slot_and_no_key_taken(make_scene, figures, kills):
    """Slots of the queue and of its tenants are leases, and a unique key is its job's: neither outlives it."""
    scene, _ = make_scene(lease=1.0, max_crashes=50)
    limit(scene, "--max-active", str(ALL_AT_ONCE), "--max-active-per-tenant", str(EACH_AT_ONCE))
    limit(scene, "--rate-per-tenant", "2000/60:50")
    chance = random.Random(kills)
    running = [scene.worker() for _ in range(4)]
    held = 0
    with Stream(scene) as stream:
        stream.enqueue(90)
        for _ in range(kills):
            stream.enqueue(30)
            time.sleep(chance.uniform(0.05, 0.3))
            victim = one_that_holds_jobs(scene, running, chance, spared=1)
            held += len(scene.kill(running[victim]))
            running[victim] = scene.worker(wait=False)
        scene.until_ended(len(stream.tenant_of), timeout_s=300)
        scene.stop()

        figures.record(
            title="Who holds slots, turns and unique keys is killed",
            injected="kill -9 of a worker whose jobs fill the slots of their queue and tenants",
            faults=kills,
            counts=scene.counts(),
            recovery_s=scene.taken_back(),
            recovery_of=TAKEN_BACK,
            note=f"{held} holders were killed; {stream.refused} enqueues met a key that was taken. Leases of 1 s.",
        )
        scene.judge()
        scene.settled_once(len(stream.tenant_of))
        left = [part for part in HELD if scene.redis.exists(f"jr:{{{QUEUE}}}:{part}")]
        assert left == []
        assert stream.refused, "no key was ever taken: this shows nothing"
        assert max(most_at_once(scene, stream.tenant_of).values()) == EACH_AT_ONCE
        assert most_at_once(scene, dict.fromkeys(stream.tenant_of, "all"))["all"] == ALL_AT_ONCE
        assert set(most_at_once(scene, stream.key_of).values()) == {1}, "two jobs of one key ran at once"
        assert stream.takes_every_key()
