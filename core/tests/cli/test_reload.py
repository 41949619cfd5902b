"""`jobrunner run --reload`: what a developer sees between two savings of a file."""

import json
import os
import signal
import sys
import time

import pytest

from jobrunner.worker.reloader import changes, snapshot, watched_roots

pytestmark = pytest.mark.long


@pytest.fixture
def reloading(desk, start_process):
    def start(*words):
        command = [sys.executable, "-m", "jobrunner", "run", "--reload", "--log-format", "json", *words]
        return start_process(command, env=desk.environ, cwd=desk.folder)

    return start


def wait_for_starts(process, number):
    """Wait until so many workers have said that they started."""
    deadline = time.monotonic() + 20
    while process.output().count('"event":"worker.started"') < number:
        assert time.monotonic() < deadline, process.output()
        time.sleep(0.05)


def saved(desk, old, new):
    """Save the plugin with a change."""
    file = desk.folder / "parcel.py"
    file.write_text(file.read_text().replace(old, new))


def result(desk, job_id):
    return json.loads(desk.run("jobs", "show", "parcel.deliver", job_id, "--json").out)["result"]


def test_saved_change_is_run_by_the_next_job(desk, reloading):
    """And the worker before it has ended in order, not been cut off."""
    process = reloading()
    process.wait_for_line('"worker.started"')
    before = desk.enqueue(number=1)
    process.wait_for_line(f'"job.completed".*{before}')

    saved(desk, '{"delivered": job.payload.number}', '{"delivered": job.payload.number + 100}')
    process.wait_for_line("changed: parcel.py; starting anew")
    process.wait_for_line('"worker.stopped"')
    wait_for_starts(process, 2)
    after = desk.enqueue(number=1)
    process.wait_for_line(f'"job.completed".*{after}')

    assert (result(desk, before), result(desk, after)) == ({"delivered": 1}, {"delivered": 101})
    process.terminate()
    assert process.wait() == 0


def test_mistake_is_waited_out(desk, reloading):
    """A file is saved half-written once in a while, and the command must not end for it."""
    process = reloading()
    process.wait_for_line('"worker.started"')

    saved(desk, "@hookimpl", "@hookimpl(")
    process.wait_for_line("the worker ended with status 2; waiting for a change")
    saved(desk, "@hookimpl(", "@hookimpl")
    wait_for_starts(process, 2)

    process.signal(signal.SIGINT)
    assert process.wait() == 0


def test_job_that_runs_at_a_change_is_given_back_unspent(desk, reloading):
    """It gets its grace, and then another worker, which is the one with the change."""
    process = reloading("--grace", "0.2")
    process.wait_for_line('"worker.started"')
    job_id = desk.enqueue(how="long")
    process.wait_for_line("delivering")

    saved(desk, "asyncio.sleep(60)", "asyncio.sleep(0)")
    process.wait_for_line(f'"job.completed".*{job_id}')

    shown = json.loads(desk.run("jobs", "show", "parcel.deliver", job_id, "--json").out)
    assert (shown["state"], shown["attempt"], shown["runs"]) == ("completed", 1, 2)
    process.terminate()
    assert process.wait() == 0


def test_wrong_use_of_reload_is_one_line(desk):
    """It never ends by itself; and a plugin that is not there has no files."""
    both = desk.run("run", "--reload", "--burst")
    missing = desk.run("run", "--reload", "--plugin", "./nowhere.py")

    assert (both.status, both.error) == (
        2,
        "--burst ends by itself, and --reload never does: give one of them",
    )
    assert (missing.status, missing.error) == (2, "plugin ./nowhere.py: there is no such file")


def test_snapshot_sees_python_files_of_the_plugin_alone(tmp_path, monkeypatch):
    """Caches, environments and what an editor leaves behind would start a worker anew for nothing."""
    for name in ("a.py", "inner/b.py", ".venv/c.py", "__pycache__/d.py", "note.txt", ".#a.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    before = snapshot([tmp_path])
    (tmp_path / "inner" / "b.py").unlink()
    (tmp_path / "new.py").write_text("")
    os.utime(tmp_path / "a.py", ns=(1, 1))

    assert sorted(before) == [str(tmp_path / "a.py"), str(tmp_path / "inner/b.py")]
    assert changes(before, snapshot([tmp_path])) == [
        str(tmp_path / name) for name in ("a.py", "inner/b.py", "new.py")
    ]


def test_whole_package_of_a_plugin_is_watched():
    """Its handler is most often another file than its declaration."""
    (root,) = watched_roots(["jobrunner.testing.fixtures"])

    assert {"queue.py", "testing"} <= {path.name for path in root.iterdir()}


def test_stop_while_a_mistake_stands_ends_in_order(desk, reloading):
    """There is no worker to be told, and nothing that went wrong with the command."""
    process = reloading()
    process.wait_for_line('"worker.started"')
    saved(desk, "@hookimpl", "@hookimpl(")
    process.wait_for_line("waiting for a change")

    process.terminate()

    assert process.wait() == 0
