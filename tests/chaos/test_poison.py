"""Jobs that kill their process, or will not end: they are failed in the end, and the others complete."""

from itertools import pairwise

import pytest
from rig.figures import Counts
from rig.history import Started, read_history

NEXT_TRY = "from a run that kills its worker to the next run of that job"


def write_down(scene, figures, poison, *, title, injected, note=""):
    """The figures of a run; a death for each time that a poisonous job began."""
    began = {job_id: [] for job_id in poison}
    for event in read_history(scene.folder):
        if isinstance(event, Started) and event.job_id in began:
            began[event.job_id].append(event.at_ms)
    figures.record(
        title=title,
        injected=injected,
        faults=sum(map(len, began.values())),
        counts=scene.counts(drained=False),
        recovery_s=[(after - at) / 1000 for times in began.values() for at, after in pairwise(times)],
        recovery_of=NEXT_TRY,
        note=note,
    )


@pytest.mark.parametrize(
    "how",
    ["die", pytest.param("exit", marks=pytest.mark.chaos), pytest.param("crash", marks=pytest.mark.chaos)],
)
def test_job_that_kills_its_worker_is_buried_and_the_others_complete(make_scene, how, figures):
    """Two workers are lost to it, then a process of its own; it is failed with the reason, and never first in line again."""
    scene, _ = make_scene(lease=0.5)
    (poison,) = scene.enqueue(1, how=how)
    scene.enqueue(60, seconds=0.01)
    supervisor = scene.worker("--processes", "2")

    scene.until_ended(61)
    supervisor.terminate()
    assert supervisor.wait() == 0

    write_down(
        scene,
        figures,
        [poison],
        title="A job kills its worker each time",
        injected="SIGKILL, os._exit or a segmentation fault in the handler",
        note="Failed after the third; the wait for the next run has the backoff after a crash in it: up to 1 s, then 4 s.",
    )
    assert scene.states()["failed"] == 1
    assert scene.states()["completed"] == 60
    assert scene.redis.zscore("jr:{chaos.work}:dead", poison)
    assert scene.runs()[poison] == 3
    assert '"buried":true' in scene.redis.hget("jr:{chaos.work}:state", poison).decode()


@pytest.mark.parametrize("seconds", [0.001, pytest.param(3.0, marks=pytest.mark.chaos)])
@pytest.mark.chaos
def test_jobs_beside_some_that_kill_their_worker_complete(make_scene, seconds, figures):
    """All that a dead worker held is suspected, and the innocent must not be buried with the guilty."""
    scene, _ = make_scene(lease=0.5)
    number = 300 if seconds < 1 else 12
    poison = scene.enqueue(3 if seconds < 1 else 1, how="exit")
    good = scene.enqueue(number, seconds=seconds)
    poison += scene.enqueue(1, how="exit")
    supervisor = scene.worker("--processes", "2")

    scene.until_ended(number + len(poison), timeout_s=120)
    supervisor.terminate()
    assert supervisor.wait() == 0

    write_down(
        scene,
        figures,
        poison,
        title="Jobs that kill their worker among good ones",
        injected="os._exit in the handler",
        note="Good jobs that a dead worker held run again, alone where it happens to them twice, and none is failed.",
    )
    failed = {job_id.decode() for job_id in scene.redis.zrange("jr:{chaos.work}:dead", 0, -1)}
    assert failed == set(poison), f"{len(failed & set(good))} buried for what others did"
    journals = scene.redis.hmget("jr:{chaos.work}:state", poison)
    assert [journal.count(b'"kind":"crash"') for journal in journals] == [3] * len(poison)


@pytest.mark.chaos
def test_poison_of_every_kind_among_2000_jobs_is_all_that_fails(make_scene, figures):
    """Killed, ended, crashed, and one that ignores its end; the queue does not stop for any of them."""
    scene, _ = make_scene(lease=1.0, timeout=5.0)
    good = scene.enqueue(500, seconds=0.005)
    poison = []
    for how in ("die", "exit", "crash", "deaf"):
        poison += scene.enqueue(1, how=how)
        good += scene.enqueue(375, seconds=0.005)
    supervisor = scene.worker("--processes", "2")

    scene.until(
        lambda: scene.states()["completed"] + scene.states()["failed"] >= 2003, what="all but the deaf one"
    )
    supervisor.terminate()
    assert supervisor.wait(timeout_s=40) == 0

    write_down(
        scene,
        figures,
        poison,
        title="Poison of every kind among 2,000 good jobs",
        injected="SIGKILL, os._exit, a segmentation fault, and a handler that ignores its end",
        note="All good jobs completed; the three that kill were failed; the deaf one still waits for its next attempt.",
    )
    failed = {job_id.decode() for job_id in scene.redis.zrange("jr:{chaos.work}:dead", 0, -1)}
    assert failed == set(poison[:3])
    assert scene.states()["completed"] == 2000


@pytest.mark.long
def test_process_job_that_dies_is_a_crash_and_the_worker_goes_on(scene, figures):
    """Only the child is lost: the worker itself sees it and says so."""
    scene.enqueue(1, queue="chaos.hold", how="die")
    scene.enqueue(4, queue="chaos.hold", seconds=0.01)
    worker = scene.worker(queue="chaos.hold")

    scene.until_ended(5, queue="chaos.hold")

    runs = len(list(scene.folder.glob("hold-*")))
    states = scene.states("chaos.hold")
    figures.record(
        title="A job kills the child process that it runs in",
        injected="SIGKILL in a process handler",
        faults=runs - 4,
        counts=Counts(jobs=5, lost=5 - states["completed"] - states["failed"], duplicates=0, reruns=runs - 5),
        note="Failed after the third; the worker itself goes on.",
    )
    assert scene.states("chaos.hold")["failed"] == 1
    assert len(list(scene.folder.glob("hold-*"))) == 7, "three runs of the one that dies, one of each other"
    worker.terminate()
    assert worker.wait() == 0
    assert "job.buried" in worker.output()


@pytest.mark.chaos
def test_handler_that_ignores_its_timeout_frees_its_slot(make_scene, figures):
    """A handler that swallows cancellation would else hold its slot for ever."""
    scene, _ = make_scene(timeout=1.0)
    scene.enqueue(1, how="deaf")
    scene.enqueue(20, seconds=0.01)
    worker = scene.worker()

    scene.until(lambda: scene.states()["completed"] == 20, what="the others")
    worker.wait_for_line("worker.handler_abandoned", timeout_s=30)
    scene.until(lambda: '"job.retried"' in worker.output(), what="the retry of the one that does not end")
    figures.record(
        title="A handler ignores its timeout",
        injected="a handler that swallows its cancellation, for ever",
        faults=1,
        counts=scene.counts(drained=False),
        note="Its slot is given up and the job is retried; the twenty others completed.",
    )
    worker.kill()
