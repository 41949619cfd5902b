"""Stopping: nothing is lost, nothing is charged, and what did not end waits again at once."""

import shutil
import signal
import time

import pytest
from rig.servers import ServerOptions

TO_THE_END = "from the signal to the end of the process"


def loaded(scene, *words, jobs=40, seconds=30.0):
    """A worker under load: five jobs run, the others wait."""
    scene.enqueue(jobs, seconds=seconds)
    worker = scene.worker(*words)
    scene.until(lambda: worker.output().count('"job.started"') >= 5, what="five jobs running")
    return worker


def uncharged(scene, jobs):
    """All jobs wait, and no attempt counts against any of them."""
    assert scene.states()["waiting"] == jobs
    assert scene.count("lease") == 0
    for counts in scene.redis.hvals("jr:{chaos.work}:attempts"):
        runs, unspent, crashes = map(int, counts.split())
        assert (runs - unspent - crashes, crashes) == (0, 0)
    scene.judge(drained=False)


@pytest.mark.parametrize(
    "signals", [[signal.SIGTERM], [signal.SIGTERM] * 3, [signal.SIGINT], [signal.SIGQUIT], [signal.SIGHUP]]
)
def test_worker_that_is_stopped_gives_back_what_does_not_end(scene, signals, figures):
    """A deploy must neither lose nor charge; more of the same signal changes nothing."""
    worker = loaded(scene, "--grace", "0.5")
    begun = time.monotonic()
    for number in signals:
        worker.signal(number)
        time.sleep(0.05)

    assert worker.wait() == 0
    took = time.monotonic() - begun

    figures.record(
        title="A worker under load is told to stop",
        injected="SIGTERM once, SIGTERM three times, SIGINT, SIGQUIT, SIGHUP",
        faults=1,
        counts=scene.counts(drained=False),
        recovery_s=[took],
        recovery_of=TO_THE_END,
        note="A grace of 0.5 s. What did not end waits again, and nothing is charged.",
    )
    uncharged(scene, 40)
    assert '"worker.stopped"' in worker.output()
    assert took < 0.5 + 2 + 3, "the grace, two seconds, and what a loaded machine needs"


def test_jobs_that_end_within_the_grace_are_settled(scene, figures):
    """What runs is let finish; what had not started is given back."""
    worker = loaded(scene, "--grace", "20", seconds=1.0)

    begun = time.monotonic()
    worker.terminate()
    assert worker.wait() == 0
    took = time.monotonic() - begun

    figures.record(
        title="A worker is told to stop, and its jobs end within the grace",
        injected="SIGTERM",
        faults=1,
        counts=scene.counts(drained=False),
        recovery_s=[took],
        recovery_of=TO_THE_END,
        note="What ran was settled, what had not begun waits again.",
    )
    assert scene.states()["completed"] >= 5
    assert scene.states()["active"] == 0
    scene.judge(drained=False)


def test_quiet_worker_takes_no_more_jobs_and_lives_on(scene, figures):
    """SIGUSR1 before a deploy: the worker drains by itself, and SIGTERM comes later."""
    worker = loaded(scene, seconds=0.5)
    worker.signal(signal.SIGUSR1)
    scene.until(lambda: scene.count("lease") == 0, what="the end of what runs")
    waiting = scene.states()["waiting"]

    time.sleep(1.0)
    assert worker.alive
    assert scene.states()["waiting"] == waiting > 0
    worker.terminate()
    assert worker.wait() == 0
    figures.record(
        title="A worker is told to take no more jobs",
        injected="SIGUSR1, and SIGTERM later",
        faults=1,
        counts=scene.counts(drained=False),
        note="What ran was settled; nothing more was taken.",
    )


@pytest.mark.chaos
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
def test_worker_as_process_1_obeys_term(scene, figures):
    """In a container nobody else takes the signal, and the kernel gives process 1 no default."""
    scene.enqueue(5, seconds=30)
    wrap = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
    worker = scene.worker("--grace", "0.3", wrap=wrap, wait=False)
    worker.wait_for_line("worker.started")
    scene.until(lambda: worker.output().count('"job.started"') >= 5, what="five jobs running")
    import subprocess

    children = subprocess.run(
        ["pgrep", "-P", str(worker.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["kill", "-TERM", *children], check=True)

    begun = time.monotonic()
    worker.wait()
    figures.record(
        title="A worker that is process 1 is told to stop",
        injected="SIGTERM in a namespace of processes of its own",
        faults=1,
        counts=scene.counts(drained=False),
        recovery_s=[time.monotonic() - begun],
        recovery_of=TO_THE_END,
        note="A grace of 0.3 s.",
    )
    uncharged(scene, 5)


@pytest.mark.chaos
@pytest.mark.parametrize("rounds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_worker_that_is_stopped_at_any_moment_loses_nothing(scene, figures, rounds):
    """Under load, at moments that differ: while it reserves, runs and settles."""
    jobs, times = 170 * rounds, []
    scene.enqueue(jobs, seconds=0.002)
    for round_ in range(rounds):
        worker = scene.worker("--grace", "2")
        time.sleep(0.05 * (round_ % 12))
        begun = time.monotonic()
        worker.terminate()
        assert worker.wait() == 0
        times.append(time.monotonic() - begun)
        assert scene.count("lease") == 0
    scene.worker()
    scene.until_ended(jobs)
    scene.stop()
    figures.record(
        title="Workers are told to stop at any moment",
        injected="SIGTERM under load, from 0 to 0.55 s after the start",
        faults=rounds,
        counts=scene.counts(),
        recovery_s=times,
        recovery_of=TO_THE_END,
        note="A run that is given back is none that runs again: its handler was told to stop.",
    )
    scene.judge()
    scene.settled_once(jobs)


def test_worker_without_jobs_does_not_wait_for_a_store_that_is_away(make_scene):
    """It has nothing to tell, so there is nothing that its grace is for."""
    scene, server = make_scene()
    worker = scene.worker("--grace", "60")
    server.kill()
    worker.wait_for_line("worker.store_lost")
    time.sleep(1.0)  # whatever it was about to ask has met with it by now
    worker.terminate()
    assert worker.wait(timeout_s=30) == 0


@pytest.mark.parametrize("away", ["frozen", "dead"])
@pytest.mark.chaos
def test_worker_whose_store_is_away_ends_in_time_all_the_same(make_scene, away, figures):
    """An orchestrator kills what does not end; nobody can be told anything now, and the leases see to the rest."""
    scene, server = make_scene(options=ServerOptions(appendonly="always"))
    worker = loaded(scene, "--grace", "1", jobs=5)
    if away == "frozen":
        server.pause()
    else:
        server.kill()
    time.sleep(2 * scene.lease)  # every duty has met with it by now
    begun = time.monotonic()
    worker.terminate()

    assert worker.wait(timeout_s=30) == 0
    took = time.monotonic() - begun

    assert took < 1 + 2 + 3, "the grace, two seconds, and what a loaded machine needs"
    if away == "frozen":
        server.resume()
    else:
        server.restart()
        scene.redis = server.client()
    scene.worker()
    scene.until(lambda: scene.count("active") == 5, what="the jobs in other hands")
    figures.record(
        title="A worker is told to stop while Redis is away",
        injected="Redis frozen, or killed; then SIGTERM to the worker",
        faults=2,
        counts=scene.counts(drained=False),
        recovery_s=[took],
        recovery_of=TO_THE_END,
        note="A grace of 1 s. The jobs were taken over by another worker when Redis was back.",
    )
    for counts in scene.redis.hvals("jr:{chaos.work}:attempts"):
        runs, unspent, crashes = map(int, counts.split())
        assert runs - unspent - crashes == 0, "an attempt was charged"
