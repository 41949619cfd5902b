"""Memory and disk run full under load, and room appears again: no operator touches jobrunner, and nothing is lost."""

import resource
import sys

import pytest
from rig.servers import Server, ServerOptions, find_binary

from .load import Load
from .scene import Scene

IGNORING = "#!/bin/sh\ntrap '' 25\nexec {binary} \"$@\"\n"
"""A server that is told "file too large" and not killed for it: signal 25 is SIGXFSZ."""


def judge(scene, loads):
    """Everything that was accepted ended once; where ended jobs are not kept, their ids are remembered."""
    ids = [job_id for load in loads for job_id in load.ids]
    scene.until(lambda: scene.count("jobs") == scene.states()["completed"], what="the end of all jobs")
    for worker in scene.workers:
        assert worker.alive
        assert '"worker.duty_restarted"' not in worker.output(), "what the store says is no bug of a loop"
    scene.stop()
    return len(ids), scene.counts()


@pytest.mark.parametrize(
    "number", [pytest.param(2_000, marks=pytest.mark.chaos), pytest.param(20_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_producers_that_outrun_workers_in_a_small_store_lose_nothing(make_scene, figures, kind, number):
    """Redis is at its maxmemory most of the time: producers are refused and insist, and workers make the room."""
    scene, server = make_scene(kind=kind, options=ServerOptions(maxmemory="6mb"))
    workers = [scene.worker(CHAOS_KEEP=0, JOBRUNNER_LOG_LEVEL="info") for _ in range(2)]
    server.client().config_resetstat()

    with Load(scene, every_s=0, filler=8000) as one, Load(scene, every_s=0, filler=8000) as other:
        one.wait_for(number // 2, timeout_s=600)
    accepted, counts = judge(scene, [one, other])

    told = server.client().info("errorstats")  # a script's refusal is "OOM", and "ERR" on older servers
    refused = sum(int(told.get(f"errorstat_{word}", {"count": 0})["count"]) for word in ("OOM", "ERR"))
    figures.record(
        title=f"{kind.capitalize()} at its maxmemory under load",
        injected="an enqueue that was refused for want of memory",
        faults=refused,
        counts=counts,
        note="Two producers insist with the same ids; two workers that keep no completed jobs make room.",
    )
    scene.judge()
    assert refused > 10, "there was room all the time"
    assert (counts.jobs, counts.lost, counts.duplicates, counts.reruns) == (accepted, 0, 0, 0)
    assert all('"worker.store_lost"' not in worker.output() for worker in workers), (
        "a store that is full is not away"
    )


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_snapshot_that_fails_for_a_while_stops_writes_and_no_job_is_lost(make_scene, figures, kind):
    """Redis answers MISCONF until its next snapshot succeeds, which it tries every few seconds by itself."""
    scene, server = make_scene(kind=kind)
    scene.redis.config_set(
        "save", "1 1"
    )  # older servers forget it where the command line also says that there is none
    worker = scene.worker()
    obstacle = server.folder / "dump.rdb"

    with Load(scene) as load:
        load.wait_for(50)
        if obstacle.exists():
            obstacle.unlink()
        obstacle.mkdir()  # what cannot be written over
        worker.wait_for_line('"worker.store_lost".*MISCONF')
        obstacle.rmdir()
        load.wait_for(50)
    accepted, counts = judge(scene, [load])

    figures.record(
        title=f"{kind.capitalize()} cannot write its snapshot for a while",
        injected="a snapshot that fails, so that every write is answered with MISCONF",
        faults=1,
        counts=counts,
        note="Redis tries again by itself; nobody touches the workers or the producer.",
    )
    scene.judge()
    assert (counts.jobs, counts.lost, counts.duplicates, counts.reruns) == (accepted, 0, 0, 0)


@pytest.mark.chaos
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux changes a limit of a process that runs")
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_append_only_file_that_cannot_grow_for_a_while_loses_no_job(tmp_path, start_process, figures, kind):
    """A full disk: writes fail half-way, then all is refused; once there is room Redis goes on by itself.

    At the end it is killed and started from that file: what was accepted must be in it.
    """
    wrapper = tmp_path / "server"
    wrapper.write_text(IGNORING.format(binary=find_binary(kind)))
    wrapper.chmod(0o700)
    with Server(wrapper, folder=tmp_path / "redis", options=ServerOptions(appendonly="everysec")) as server:
        scene = Scene(tmp_path, server.url, server.client(), start_process)
        worker = scene.worker()

        with Load(scene) as load:
            load.wait_for(200)
            full = max(path.stat().st_size for path in server.folder.rglob("*") if path.is_file()) + 4096
            before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (full, before[1]))
            worker.wait_for_line('"worker.store_lost".*MISCONF')
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
            load.wait_for(200)
        accepted, counts = judge(scene, [load])
        server.kill()
        server.restart()
        scene.redis = server.client()

        figures.record(
            title=f"{kind.capitalize()}: the append-only file cannot grow for a while",
            injected="a disk that is full, and later is not",
            faults=1,
            counts=scene.counts(),
            note="At the end Redis is killed and started from that file, and the jobs are counted in what it read.",
        )
        scene.judge()
        assert scene.counts() == counts
        assert (counts.jobs, counts.lost, counts.duplicates, counts.reruns) == (accepted, 0, 0, 0)
