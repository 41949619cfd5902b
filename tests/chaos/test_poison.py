"""Jobs that kill their process, or will not end: they are failed in the end, and the others complete."""

import pytest


@pytest.mark.parametrize(
    "how",
    ["die", pytest.param("exit", marks=pytest.mark.chaos), pytest.param("crash", marks=pytest.mark.chaos)],
)
def test_job_that_kills_its_worker_is_buried_and_the_others_complete(make_scene, how):
    """Three workers are lost to it, then it is failed with the reason, and never is it first in line again."""
    scene, _ = make_scene(lease=0.5)
    (poison,) = scene.enqueue(1, how=how)
    scene.enqueue(60, seconds=0.01)
    supervisor = scene.worker("--processes", "2")

    scene.until_ended(61)
    supervisor.terminate()
    assert supervisor.wait() == 0

    assert scene.states()["failed"] == 1
    assert scene.states()["completed"] == 60
    assert scene.redis.zscore("jr:{chaos.work}:dead", poison)
    assert scene.runs()[poison] == 3
    assert '"buried":true' in scene.redis.hget("jr:{chaos.work}:state", poison).decode()


def test_process_job_that_dies_is_a_crash_and_the_worker_goes_on(scene):
    """Only the child is lost: the worker itself sees it and says so."""
    scene.enqueue(1, queue="chaos.hold", how="die")
    scene.enqueue(4, queue="chaos.hold", seconds=0.01)
    worker = scene.worker(queue="chaos.hold")

    scene.until_ended(5, queue="chaos.hold")

    assert scene.states("chaos.hold")["failed"] == 1
    assert len(list(scene.folder.glob("hold-*"))) == 7, "three runs of the one that dies, one of each other"
    worker.terminate()
    assert worker.wait() == 0
    assert "job.buried" in worker.output()


@pytest.mark.chaos
def test_handler_that_ignores_its_timeout_frees_its_slot(make_scene):
    """A handler that swallows cancellation would else hold its slot for ever."""
    scene, _ = make_scene(timeout=1.0)
    scene.enqueue(1, how="deaf")
    scene.enqueue(20, seconds=0.01)
    worker = scene.worker()

    scene.until(lambda: scene.states()["completed"] == 20, what="the others")
    worker.wait_for_line("worker.handler_abandoned", timeout_s=30)
    scene.until(lambda: '"job.retried"' in worker.output(), what="the retry of the one that does not end")
    worker.kill()
