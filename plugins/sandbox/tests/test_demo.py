"""`jobrunner demo` as a real process: what it shows, what it proves, and that nothing of it is left behind."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from jobrunner_sandbox import Behaviour
from jobrunner_sandbox.demo import describe, play, sample
from jobrunner_sandbox.screen import Screen
from jobrunner_sandbox.stage import stage


def test_demo_publishes_every_post_once_and_leaves_nothing_behind(commands):
    """The first thing that a newcomer runs; some calls fail on the way, and some posts are scheduled ahead."""
    done = commands.run("demo", "--jobs", "13", "--json")

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["completed"] == summary["jobs"] == 13
    assert summary["proof"]["once"] == summary["proof"]["expected"] == sum(summary["posts"].values())
    assert summary["attempts"] == summary["jobs"] + summary["retries"]
    assert commands.left() == []


def test_demo_prints_plain_lines_in_a_pipe(commands):
    """No colours, no cursor: a log of it must be readable."""
    done = commands.run("demo", "--jobs", "5", "--fail-rate", "0")

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0].startswith("5 posts for ")
    assert re.search(
        r"^ *\d+\.\d s  \d of 5 jobs done, \d+ retries; posts: facebook ", done.stdout, re.MULTILINE
    )
    assert "posts arrived exactly once" in done.stdout


def test_demo_shows_a_live_picture_at_a_terminal(commands):
    """Bars that move, a cursor that comes back, and the table that stays."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jobrunner", "demo", "--jobs", "5", "--fail-rate", "0"]
    environ = commands.environ(TERM="xterm-256color", COLUMNS="80")
    with subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)

    text = shown.decode()
    assert process.returncode == 0, text
    assert "█" in text
    assert "jobs a second" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is hidden for good"
    assert "what happened" in text.rpartition("\x1b[?25h")[2]


def _read(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux, where the last process has closed it
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_that_is_interrupted_leaves_no_process_and_no_folder(commands, number):
    """Ctrl-C is how people end a demo, more than once if it takes a moment; or they close the terminal."""
    with commands.start("demo", "--latency", "1") as process:
        process.stdout.readline()
        process.stdout.readline()  # now it plays
        for _ in range(3):
            process.send_signal(number)
        _, error = process.communicate(timeout=40)

    assert process.returncode == 128 + number
    assert error == f"stopped by {number.name}\n"
    assert commands.left() == []


def test_demo_whose_worker_dies_says_so_and_leaves_nothing_behind(commands):
    """A picture that stands still would be worse."""
    with commands.start("demo", "--latency", "1") as process:
        process.stdout.readline()
        process.stdout.readline()
        found = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "jobrunner run"], capture_output=True)
        (worker,) = found.stdout.split()
        os.kill(int(worker), signal.SIGKILL)
        _, error = process.communicate(timeout=40)

    assert process.returncode == 1
    assert error.startswith("error: the worker ended with status -9; it said last: ")
    assert error.count("\n") == 1
    assert commands.left() == []


def test_server_ends_with_the_stage_even_where_its_last_user_was_killed(commands):
    """A worker that is stopped before it listens to signals dies as the last user, and cannot end the server."""
    folder = commands.folder / "stage"
    folder.mkdir()
    with stage(Behaviour(), processes=1, keep=folder) as here:
        deadline = time.monotonic() + 30
        while "worker.started" not in here.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        here.worker.kill()
        here.worker.wait()
    assert "worker.started" in here.log.read_text()
    assert commands.left() == []


def test_post_of_which_nobody_knows_is_told_by_its_job(commands):
    """An answer is lost, and the platform does not let the worker look: that must not pass for published or missing."""
    folder = commands.folder / "stage"
    folder.mkdir()
    with stage(Behaviour(lost_rate=1e-9), processes=1, keep=folder) as here:
        here.server.faults.next("graph", method="POST", path="*/north-harbour-malmo/feed", lost=True)
        here.server.faults.next("graph", method="GET", path="*/north-harbour-malmo/feed", status=403)
        summary = asyncio.run(play(here, sample(1), Screen(quiet=True)))

    assert (summary.completed, summary.failed, summary.attempts) == (0, 1, 2)
    assert summary.proof.unknown == ["demo-post-001 facebook north-harbour-malmo"]
    assert summary.proof.holds
    _, (_, verdict) = describe(summary)
    assert "1 unknown, since an answer was lost: demo-post-001 facebook north-harbour-malmo" in verdict


def test_demo_is_the_same_whatever_is_set_around_it(commands):
    """A newcomer's shell may be set up for another store, or for a proxy that does not know this machine."""
    done = commands.run(
        *("demo", "--jobs", "4", "--lost-rate", "0.2", "--workers", "2", "--json"),
        JOBRUNNER_PREFIX="another",
        JOBRUNNER_PUBLISH_POLL_INTERVAL="nonsense",
        REDIS_HOST="nowhere.invalid",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["completed"] == 4
    assert commands.left() == []


def test_demo_keeps_its_store_where_it_is_asked_to(commands):
    """To look around in, with the commands that an operator has."""
    done = commands.run("demo", "--jobs", "3", "--fail-rate", "0", "--keep")
    assert done.returncode == 0, done.stderr
    url = re.search(r"REDIS_URL=(\S+) jobrunner jobs list", done.stderr)[1]

    listed = commands.run("jobs", "list", "publish.dispatch", "--state", "completed", "--json", REDIS_URL=url)
    assert {job["id"] for job in json.loads(listed.stdout)} == {f"demo-post-00{n}" for n in (1, 2, 3)}
    (folder,) = commands.folder.glob("jobrunner-demo-*")
    assert (folder / "worker.log").stat().st_size > 0


@pytest.mark.parametrize(("option", "value"), [("--fail-rate", "1.5"), ("--lost-rate", "often")])
def test_wrong_option_is_a_line_and_status_2(commands, option, value):
    """A typo must not start servers."""
    done = commands.run("demo", option, value)
    assert done.returncode == 2
    assert option in done.stderr
    assert commands.left() == []
