"""`jobrunner demo` and `jobrunner sandbox`, as real processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest


@pytest.fixture
def tmp_path():
    """A folder with a short name: the embedded server's socket must fit into a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="jr-") as folder:
        yield Path(folder)


def environ(tmp_path):
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
    }
    return clean | {"TMPDIR": str(tmp_path)}


def run(tmp_path, *words, timeout=100):
    command = [sys.executable, "-m", "jobrunner", *words]
    return subprocess.run(command, env=environ(tmp_path), capture_output=True, text=True, timeout=timeout)


def test_demo_publishes_every_post_once_and_leaves_nothing_behind(tmp_path):
    """The first thing that a newcomer runs; some calls fail on the way."""
    done = run(tmp_path, "demo", "--jobs", "12", "--fail-rate", "0.1", "--json")

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["completed"] == summary["jobs"] == 12
    assert summary["proof"]["once"] == summary["proof"]["expected"] == sum(summary["posts"].values())
    assert list(tmp_path.glob("jobrunner-demo-*")) == []


def test_demo_prints_plain_lines_in_a_pipe(tmp_path):
    """No colours, no cursor: a log of it must be readable."""
    done = run(tmp_path, "demo", "--jobs", "5", "--fail-rate", "0")

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0].startswith("5 posts for ")
    assert "posts arrived exactly once" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_interrupted_leaves_no_process_and_no_folder(tmp_path, number):
    """Ctrl-C is how people end a demo."""
    command = [sys.executable, "-m", "jobrunner", "demo", "--latency", "1"]
    process = subprocess.Popen(
        command, env=environ(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdout.readline()
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob("jobrunner-demo-*/worker.log")) and time.monotonic() < deadline:
        time.sleep(0.05)

    process.send_signal(number)
    process.communicate(timeout=40)

    assert process.returncode not in (0, None)
    assert list(tmp_path.glob("jobrunner-demo-*")) == []
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True).stdout.split()
    assert left == []


def test_sandbox_runs_a_command_with_every_service_in_its_environment(tmp_path):
    """`jobrunner sandbox -- COMMAND` is how a worker is tried without accounts."""
    show = "import os; print({n: v for n, v in os.environ.items() if n.startswith('JOBRUNNER_PUBLISH')})"
    done = run(tmp_path, "sandbox", "--", sys.executable, "-c", show)
    failed = run(tmp_path, "sandbox", "--", sys.executable, "-c", "raise SystemExit(7)")

    assert done.returncode == 0, done.stderr
    for name in ("GRAPH_URL", "LINKEDIN_URL", "X_URL", "MASTODON_URL", "MEDIA_GATEWAY"):
        assert f"'JOBRUNNER_PUBLISH_{name}': 'http://127.0.0.1:" in done.stdout
    assert failed.returncode == 7


def test_sandbox_prints_variables_until_it_is_stopped(tmp_path):
    """For a shell in another window."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jobrunner", "sandbox"],
        env=environ(tmp_path) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    names = {process.stdout.readline().partition("=")[0] for _ in range(5)}
    process.terminate()
    process.communicate(timeout=20)

    assert process.returncode == 0
    assert "JOBRUNNER_PUBLISH_X_URL" in names


@pytest.mark.parametrize("rate", ["1.5", "often"])
def test_wrong_rate_is_a_line_and_status_2(tmp_path, rate):
    """A typo must not start servers."""
    done = run(tmp_path, "demo", "--fail-rate", rate)
    assert done.returncode == 2
    assert "--fail-rate" in done.stderr
