"""`jobrunner run --processes N`: one supervisor, several workers."""

import json
import os
import signal
import sys
import time

import pytest

from jobrunner.worker.word import Word, takes_word


@pytest.fixture
def supervised(desk, start_process):
    def start(*words):
        command = [
            sys.executable,
            "-m",
            "jobrunner",
            "run",
            "--processes",
            "2",
            "--log-format",
            "json",
            *words,
        ]
        return start_process(command, env=desk.environ, cwd=desk.folder)

    return start


def wait_for(process, event, number):
    """Wait until an event stands in the output so many times."""
    deadline = time.monotonic() + 20
    while process.output().count(f'"event":"{event}"') < number:
        assert time.monotonic() < deadline, process.output()
        time.sleep(0.05)


def workers(process):
    """The workers that have said that they started: index -> pid."""
    found = {}
    for line in process.output().splitlines():
        fields = json.loads(line)
        if fields["event"] == "worker.started":
            pid, _, index = fields["worker_id"].split("-")[-2].partition(".")
            found[int(index)] = int(pid)
    return found


def test_worker_that_is_killed_is_replaced(desk, supervised):
    """A worker that the system kills for memory must not be missed until somebody looks."""
    process = supervised()
    wait_for(process, "worker.started", 2)
    before = workers(process)

    os.kill(before[0], signal.SIGKILL)
    wait_for(process, "worker.restarted", 1)
    wait_for(process, "worker.started", 3)

    after = workers(process)
    assert after[0] != before[0]
    assert after[1] == before[1]
    process.terminate()
    assert process.wait() == 0


def test_term_is_passed_on_and_every_worker_stops_in_order(desk, supervised):
    """What runs is given back, and the exit status says that all went well."""
    desk.enqueue(how="long")
    process = supervised("--grace", "0.2", "--log-level", "debug")
    wait_for(process, "worker.started", 2)
    wait_for(process, "job.started", 1)

    process.terminate()

    assert process.wait() == 0
    assert process.output().count("worker.stopped") == 2
    assert desk.stats()["waiting"] == 1


STOPS_EARLY = """
import os, signal, sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "jobrunner.worker.main_loop" and os.environ.get("JOBRUNNER_WORKER_INDEX"):
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(30)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.long
def test_ctrl_c_before_the_workers_listen_is_a_stop_in_order(desk, supervised):
    """They end as any interrupted command does, which is what they were told to do."""
    (desk.folder / "sitecustomize.py").write_text(STOPS_EARLY)
    desk.environ["PYTHONPATH"] = str(desk.folder)

    process = supervised()

    assert process.wait() == 0, process.output()
    assert "Traceback" not in process.output()


@pytest.mark.long
def test_burst_of_several_workers_ends(desk, supervised):
    """All of them end when nothing is left."""
    for number in range(10):
        desk.enqueue(number=number)

    process = supervised("--burst")

    assert process.wait() == 0
    assert desk.stats()["completed"] == 10


@pytest.mark.long
def test_mistake_that_a_restart_would_repeat_ends_the_supervisor(desk, supervised):
    """A wrong plugin name must be an error at once, not a loop."""
    process = supervised("--plugin", "nope")

    assert process.wait() == 2
    assert process.output().count("is not installed") == 1


@pytest.mark.long
def test_store_that_is_not_there_is_told_once(desk, supervised):
    """Four lines that say the same look like four things that are wrong."""
    desk.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    process = supervised("--processes", "4")

    assert process.wait() == 3
    assert process.output().count("cannot be reached") == 1


def test_word_is_taken_once_until_it_is_given_again():
    """By one of those who were told of it; whoever was not, or has only heard of it, speaks for itself."""
    word = Word()
    word.give()
    assert [takes_word(word.environ) for _ in range(3)] == [True, False, False]
    word.give()
    assert [takes_word(word.environ) for _ in range(2)] == [True, False]
    assert takes_word({})
    number = word.environ["JOBRUNNER_WORKER_WORD"].partition(":")[0]
    assert takes_word({"JOBRUNNER_WORKER_WORD": f"{number}:1"})
    heard = word.environ
    word.close()
    assert takes_word(heard)
    assert takes_word({"JOBRUNNER_WORKER_WORD": "odd"})


@pytest.mark.long
def test_supervisor_that_is_killed_leaves_no_worker(desk, supervised):
    """Orphans would go on taking jobs with nobody to stop them."""
    process = supervised()
    wait_for(process, "worker.started", 2)

    os.kill(process.pid, signal.SIGKILL)

    wait_for(process, "worker.stopped", 2)


@pytest.mark.long
def test_failed_job_breaks_the_build_with_several_workers_too(desk):
    """A worker that ends a burst with 1 has told something; it did not die."""
    desk.enqueue(how="discard")

    done = desk.process("run", "--burst", "--fail-on-failed", "--processes=2", "--log-level", "info")

    assert done.status == 1
    assert "1 job failed" in done.err
    assert "worker.restarted" not in done.out


@pytest.mark.long
def test_stop_while_a_worker_waits_for_its_restart_ends_at_once(desk, supervised):
    """A worker that was to come back must not come back after all were told to stop."""
    process = supervised()
    wait_for(process, "worker.started", 2)
    os.kill(workers(process)[0], signal.SIGKILL)
    wait_for(process, "worker.restarted", 1)

    process.terminate()

    assert process.wait() == 0
    assert process.output().count('"event":"worker.stopped"') >= 1


@pytest.mark.long
def test_worker_that_dies_after_sigusr1_is_not_replaced(desk, supervised):
    """No more jobs were to be taken, and a new worker would take some."""
    process = supervised()
    wait_for(process, "worker.started", 2)

    os.kill(process.pid, signal.SIGUSR1)
    for pid in workers(process).values():
        os.kill(pid, signal.SIGKILL)

    assert process.wait() == 1
    assert "worker.restarted" not in process.output()
