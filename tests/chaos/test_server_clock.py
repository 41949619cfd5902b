"""The server's own clock jumps by an hour while jobs run: nothing is lost, run twice, or stands still until it comes back."""

import sys
import time
from pathlib import Path

import pytest
from rig.checker import check, explain
from rig.figures import NEXT_OUTCOME, NEXT_RUN
from rig.history import Started, now_ms, read_history
from rig.servers import ServerOptions

from .load import Load
from .scene import QUEUE

HOUR_S = 3600
PACED = Path(__file__).with_name("paced_plugin.py")

pytestmark = pytest.mark.chaos

AHEAD_AND_BACK = pytest.param((1, -1, -1, 1) * 5, marks=pytest.mark.slow, id="20")


@pytest.fixture
def odd_scene(make_scene, wall_clock):
    """A scenario with leases of a second, on a server whose clock is ours to put wrong."""
    scene, _ = make_scene(lease=1.0, options=ServerOptions(environ=wall_clock.environ))
    return scene


@pytest.mark.parametrize("hours", [(1,), (-1,), AHEAD_AND_BACK])
def test_clock_that_jumps_under_load_takes_nobodys_lease(odd_scene, wall_clock, figures, hours):
    """It looks like an hour's outage, so every lease gets one more, and whoever lives renews it by the new clock."""
    scene = odd_scene
    for _ in range(2):
        scene.worker()
    long = scene.enqueue(4, seconds=5 * scene.lease)
    scene.until(lambda: len(scene.leases()) == 4, what="four leases")
    jumps = []
    with Load(scene) as load:
        load.wait_for(100)
        for some in hours:
            jumps.append(now_ms())
            wall_clock.jump(some * HOUR_S, scene.redis)
            load.wait_for(300)
    number = len(load.ids) + len(long)
    scene.until_ended(number)
    scene.stop()

    figures.record(
        title="The server's clock jumps by an hour under load",
        injected="the server's wall clock put an hour forward, or back",
        faults=len(jumps),
        counts=scene.counts(),
        recovery_s=scene.resumptions(jumps),
        recovery_of=NEXT_OUTCOME,
        note="No job ran again: whoever calls first sees the gap, and every lease gets one more.",
    )
    scene.judge()
    scene.settled_once(number)
    assert set(scene.runs().values()) == {1}, "a jump is no reason to run a job again"


@pytest.mark.parametrize("hours", [1, -1])
def test_job_of_a_worker_that_dies_as_the_clock_jumps_is_taken_over(odd_scene, wall_clock, figures, hours):
    """Its lease ends by the clock of before; nobody is there to renew it, and nobody waits an hour for it."""
    scene = odd_scene
    doomed = scene.worker()
    ids = scene.enqueue(5, how="long at first")
    scene.until(lambda: len(scene.leases(doomed)) == 5, what="five leases")
    scene.worker()
    wall_clock.jump(hours * HOUR_S, scene.redis)
    leased = scene.kill(doomed)
    scene.until_ended(5)
    scene.stop()

    figures.record(
        title="A worker is killed in the moment in which the server's clock jumps",
        injected="the server's wall clock put an hour forward, or back; then kill -9 of a worker that holds jobs",
        faults=2,
        counts=scene.counts(),
        recovery_s=scene.recoveries(),
        recovery_of=NEXT_RUN,
    )
    scene.judge()
    scene.settled_once(5)
    assert set(leased) == set(ids)
    assert scene.runs() == dict.fromkeys(ids, 2)


def test_rates_go_on_when_the_clock_is_set_back(odd_scene, wall_clock, figures):
    """A bucket is never fuller than full, and a tenant that is held for its rate does not wait for the old time."""
    scene, queue = odd_scene, "chaos.paced"
    scene.environ["JOBRUNNER_PLUGINS"] = str(PACED)
    with scene.producer() as producer:
        for tenant in "ab":
            for handle in producer.enqueue_many(queue, [{"number": k} for k in range(40)], tenant=tenant):
                scene.history.accepted(handle.id)
    worker = scene.worker(queue=queue)
    scene.until(lambda: int(scene.stats(queue).get("completed", 0)) >= 20, what="a part")
    jump = now_ms()
    wall_clock.jump(-HOUR_S, scene.redis)
    scene.until_ended(80, queue=queue)
    worker.terminate()
    assert worker.wait() == 0

    figures.record(
        title="The server's clock is set back while rates hold jobs back",
        injected="the server's wall clock put an hour back",
        faults=1,
        counts=scene.counts(queue=queue),
        recovery_s=scene.resumptions([jump]),
        recovery_of=NEXT_OUTCOME,
        note="80 jobs of two tenants, at 10 a second of each and of all.",
    )
    violations = check(scene.record(queue=queue))
    assert not violations, explain(violations)
    assert set(scene.runs().values()) == {1}


def test_delays_of_before_wait_for_a_clock_that_was_set_back_or_for_a_hand(
    odd_scene, wall_clock, start_process, figures
):
    """They are times of the day, and the day has become longer; delays and retries of after it are on time."""
    scene = odd_scene
    scene.worker()
    with scene.producer() as producer:
        before = [producer.enqueue(QUEUE, {"number": k}, delay=1.0).id for k in range(5)]
        wall_clock.jump(-HOUR_S, scene.redis)
        begun = time.monotonic()
        after = [producer.enqueue(QUEUE, {"number": k}, delay=1.0).id for k in range(5)]
    for job_id in before + after:
        scene.history.accepted(job_id)
    after += scene.enqueue(5, how="retry")
    scene.until_ended(10)
    took_s = time.monotonic() - begun
    left = {job_id.decode() for job_id in scene.redis.zrange(f"jr:{{{QUEUE}}}:later", 0, -1)}
    ran = {event.job_id for event in read_history(scene.folder) if isinstance(event, Started)}
    promoted = start_process(
        [sys.executable, "-m", "jobrunner", "jobs", "promote", QUEUE, *before], env=scene.environ
    )
    assert promoted.wait() == 0
    scene.until_ended(15)
    scene.stop()

    figures.record(
        title="The server's clock is set back while jobs are delayed",
        injected="the server's wall clock put an hour back",
        faults=1,
        counts=scene.counts(),
        note=f"What was delayed and retried afterwards was done in {took_s:.1f} s; what was delayed before waits for the time "
        "that it was given, or for `jobrunner jobs promote`.",
    )
    assert left == set(before)
    assert ran == set(after)
    scene.judge()
    scene.settled_once(15)
