"""A former release and this one on the same queue, as in a deploy that rolls out, or back: nothing is lost or doubled.

There is no release yet, so a former commit stands for one. It is taken out of the repository's history, and run from
its source beside this one; where there is no history, as in a shallow clone, these tests are skipped.
"""

import os
import random
import shutil
import subprocess
import sys
import tarfile

import pytest
from rig.figures import TAKEN_BACK

from .scene import QUEUE, ROOT
from .test_kill import one_that_holds_jobs

FORMER = "d5b7f05d98c431b2b2ad"
"""Before jobs were held for their tenants, rates limited and unique keys kept: its scripts know less than these."""

ENQUEUE = """
import sys
from jobrunner import SyncClient
with SyncClient.from_env() as client:
    payloads = [{"number": k, "seconds": float(sys.argv[3])} for k in range(int(sys.argv[2]))]
    for handle in client.enqueue_many(sys.argv[1], payloads):
        print(handle.id)
"""


@pytest.fixture(scope="module")
def former(tmp_path_factory):
    """The folder that Python has to look into first to find the former release."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("there is no history to take a former release from")
    folder = tmp_path_factory.mktemp("former")
    archive = [git, "-C", str(ROOT), "archive", "--format=tar", FORMER, "core/src"]
    told = subprocess.run([*archive, "-o", str(folder / "src.tar")], capture_output=True, text=True)
    if told.returncode:
        pytest.skip(
            f"the history does not reach back to {FORMER[:7]}; fetch all of it: {told.stderr.strip()}"
        )
    with tarfile.open(folder / "src.tar") as tar:
        tar.extractall(folder, filter="data")
    return folder / "core" / "src"


def environ_of(scene, former):
    """The environment of a process of the former release."""
    return {"PYTHONPATH": os.pathsep.join([str(former), scene.environ["PYTHONPATH"]])}


def run(scene, former, *words):
    """Run this Python with the former release; what it printed."""
    command = [sys.executable, "-c", *words]
    environ = scene.environ | environ_of(scene, former)
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def enqueue_by_former(scene, former, number, seconds):
    """Enqueue jobs by the former release's client."""
    for job_id in run(scene, former, ENQUEUE, QUEUE, str(number), str(seconds)).split():
        scene.history.accepted(job_id)


@pytest.mark.parametrize(
    ("jobs", "kills"),
    [pytest.param(600, 12, marks=pytest.mark.chaos), pytest.param(21_000, 150, marks=pytest.mark.slow)],
)
def test_former_release_and_this_one_share_a_queue(make_scene, figures, former, jobs, kills):
    """Two workers of each, killed at random, each replaced by one of the other release; producers of both."""
    scene, _ = make_scene(max_crashes=50)
    assert str(former) in run(scene, former, "import jobrunner; print(jobrunner.__file__)")
    enqueue_by_former(scene, former, jobs // 2, 0.15)
    old, chance, leased = environ_of(scene, former), random.Random(1), set()
    is_old = [True, False, True, False]
    running = [scene.worker(**(old if one else {})) for one in is_old]

    for _ in range(kills):
        # So that there is work, however long a worker takes to start.
        scene.enqueue(jobs // 2 // kills, seconds=0.5)
        victim = one_that_holds_jobs(scene, running, chance)
        leased |= set(scene.kill(running[victim]))
        is_old[victim] = not is_old[victim]
        running[victim] = scene.worker(**(old if is_old[victim] else {}))
    scene.until_ended(jobs, timeout_s=900)
    scene.stop()

    figures.record(
        title="A former release beside this one: two workers of each, producers of both",
        injected="kill -9 of a worker that holds jobs, replaced by one of the other release",
        faults=kills,
        counts=scene.counts(),
        recovery_s=scene.taken_back(),
        recovery_of=TAKEN_BACK,
        note=f"The former release is commit {FORMER[:7]}.",
    )
    scene.judge()
    scene.settled_once(jobs)
    again = {job_id for job_id, runs in scene.runs().items() if runs > 1}
    assert again <= leased, "a job ran again that no killed worker held"
    assert len(leased) >= kills, "most kills hit nobody who held a job: this shows nothing"
