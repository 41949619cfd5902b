"""Redis goes away and comes back: nothing that was acknowledged is lost, nothing is run again."""

import os
import time
from pathlib import Path

import pytest
from rig.figures import NEXT_OUTCOME
from rig.history import Started, now_ms, read_history
from rig.servers import ServerOptions

AFTER_PONG = "from the moment at which Redis takes commands again to the next outcome that it took"


def restarts(scene, server, figures, *, jobs, rounds):
    worker, other = scene.worker(), scene.worker()
    done, ready_ms = 0, []
    for _ in range(rounds):
        with scene.producer() as producer:
            scene.enqueue(jobs, first=done, producer=producer, seconds=0.05)
        scene.until(lambda: is_written(scene.redis), what="the file with all that was accepted")
        done += jobs
        scene.until(lambda: len(scene.leases()) >= 5, what="leases")
        server.kill()
        time.sleep(0.5)
        server.restart()
        ready_ms.append(now_ms())
        scene.redis = server.client()
        scene.until_ended(done, timeout_s=60)
    for process in (worker, other):
        assert process.alive
        assert '"worker.store_recovered"' in process.output()
    scene.stop()
    waits, forgotten = scene.resumptions(ready_ms), forgotten_by(server, scene)
    figures.record(
        title=f"Redis is killed and restarted, AOF {server.options.appendonly}",
        injected="kill -9 of Redis under load, restarted after half a second",
        faults=rounds,
        counts=scene.counts(),
        recovery_s=waits,
        recovery_of=AFTER_PONG,
        note=f"Only the process is killed. {len(forgotten)} reservations were answered and not in its file yet: with everysec "
        "Redis answers before it writes while its disk is busy. Only such jobs ran again.",
    )
    again = {job_id for job_id, runs in scene.runs().items() if runs > 1}
    assert again <= forgotten, "a job ran again although Redis had its lease"
    assert not forgotten or server.options.appendonly == "everysec", "what Redis answered was not in its file"
    if not again:
        scene.judge()
    assert rounds < 20 or max(waits) <= 3.0, "work is slow to go on"
    scene.settled_once(done)


def is_written(client):
    """Whether the server has given all that it answered to its file, so that it outlives the process."""
    about = client.info("persistence")
    return about["aof_buffer_length"] == about["aof_pending_bio_fsync"] == 0


def forgotten_by(server, scene):
    """The jobs that a worker began under a lease that is not in the server's file."""
    written = b"".join(path.read_bytes() for path in server.folder.rglob("*.aof"))
    begun = [event for event in read_history(scene.folder) if isinstance(event, Started)]
    return {event.job_id for event in begun if event.nonce.encode() not in written}


@pytest.mark.parametrize("appendonly", ["everysec", pytest.param("always", marks=pytest.mark.chaos)])
def test_redis_that_is_killed_and_restarted_loses_and_repeats_nothing(make_scene, figures, appendonly):
    """The most common complaint of the field: the worker that stays up and does nothing after a blip."""
    scene, server = make_scene(options=ServerOptions(appendonly=appendonly))
    restarts(scene, server, figures, jobs=100, rounds=1)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("appendonly", "rounds"),
    [
        ("everysec", 8),
        pytest.param("everysec", 20, marks=pytest.mark.slow),
        pytest.param("always", 20, marks=pytest.mark.slow),
    ],
)
def test_redis_that_is_killed_again_and_again_loses_and_repeats_nothing(
    make_scene, figures, appendonly, rounds
):
    """Each time at another moment, under load."""
    scene, server = make_scene(options=ServerOptions(appendonly=appendonly))
    restarts(scene, server, figures, jobs=200, rounds=rounds)


def freeze_server(scene, server):
    server.pause()
    time.sleep(3 * scene.lease)
    server.resume()


def sleep_in_server(scene, server):
    with server.client(timeout_s=30) as client:
        client.execute_command("DEBUG", "SLEEP", 3 * scene.lease)


def pause_clients(scene, server):
    scene.redis.client_pause(int(3000 * scene.lease))
    time.sleep(3 * scene.lease)


STANDSTILLS = {"SIGSTOP": freeze_server, "DEBUG SLEEP": sleep_in_server, "CLIENT PAUSE": pause_clients}


@pytest.mark.parametrize(
    ("how", "rounds"),
    [("SIGSTOP", 1), *(pytest.param(how, 10, marks=pytest.mark.slow) for how in STANDSTILLS)],
)
def test_redis_that_stands_still_for_three_leases_repeats_nothing(make_scene, figures, how, rounds):
    """Every lease ran out meanwhile, and everybody lives: the grace keeps all of them."""
    scene, server = make_scene(lease=1.0, options=ServerOptions(extra=("--enable-debug-command", "local")))
    workers, well_ms = [scene.worker(), scene.worker()], []
    for round_ in range(rounds):
        scene.enqueue(5, first=5 * round_, seconds=6.0)
        scene.until(lambda: len(scene.leases()) == 5, what="five leases")
        STANDSTILLS[how](scene, server)
        well_ms.append(now_ms())
        scene.until_ended(5 * (round_ + 1))
    scene.stop()
    figures.record(
        title=f"Redis stands still for three leases ({how})",
        injected=f"{how}, while every lease runs out",
        faults=rounds,
        counts=scene.counts(),
        note="Jobs of six leases go on running meanwhile; nothing has to recover.",
    )
    assert all(runs == 1 for runs in scene.runs().values())
    scene.judge()
    assert [worker.wait() for worker in workers] == [0, 0]


@pytest.mark.slow
def test_worker_without_its_store_is_idle_and_quiet(make_scene, figures):
    """A worker that tries too hard burns a core and fills a disk with its log in every outage."""
    scene, server = make_scene(lease=1.0, options=ServerOptions(appendonly="everysec"))
    scene.enqueue(5, seconds=0.01)
    worker = scene.worker()
    scene.until_ended(5)
    server.kill()
    worker.wait_for_line("worker.store_lost")
    lines, burnt_s, since = worker.output().count("\n"), cpu_s(worker), time.monotonic()

    time.sleep(30)

    share = (cpu_s(worker) - burnt_s) / (time.monotonic() - since)
    lines = worker.output().count("\n") - lines
    server.restart()
    ready_ms = now_ms()
    scene.redis = server.client()
    scene.enqueue(5, first=5, seconds=0.01)
    scene.until_ended(10)
    scene.stop()
    figures.record(
        title="Redis is away for 30 s",
        injected="kill -9 of Redis, restarted after 30 s",
        faults=1,
        counts=scene.counts(),
        recovery_s=scene.resumptions([ready_ms]),
        recovery_of=AFTER_PONG,
        note=f"Meanwhile the worker used {100 * share:.1f} % of a core and wrote {lines} lines.",
    )
    scene.judge()
    assert share < 0.1
    assert lines < 20


def cpu_s(process):
    """Seconds of processor time that a process used so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.chaos
def test_scripts_that_are_flushed_all_the_time_are_sent_again(scene, figures):
    """A failover forgets all scripts, and so does an operator's SCRIPT FLUSH."""
    scene.enqueue(500, seconds=0.01)
    scene.worker()
    flushed_ms = []
    while scene.states()["completed"] < 500:
        flushed_ms.append(now_ms())
        scene.redis.script_flush()
        time.sleep(0.05)
    scene.stop()
    figures.record(
        title="Redis forgets its scripts all the time",
        injected="SCRIPT FLUSH every 50 ms",
        faults=len(flushed_ms),
        counts=scene.counts(),
        recovery_s=scene.resumptions(flushed_ms),
        recovery_of=NEXT_OUTCOME,
    )
    scene.judge()
    scene.settled_once(500)
