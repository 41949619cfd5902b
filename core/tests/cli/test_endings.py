"""How a command ends when its reader or its user has had enough."""

import contextlib
import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", ["queues", pytest.param("top --json --every 0.1", marks=pytest.mark.long)])
def test_reader_that_has_seen_enough_makes_no_failure(desk, words):
    """`jobrunner ... | head` under `set -o pipefail` must not break a script."""
    command = f"{sys.executable} -m jobrunner {words} | (read -r line; exec <&-; sleep 0.1; exit 0)"
    if not words.startswith("top"):  # gone before a word is written
        command = f"{sys.executable} -m jobrunner {words} | (exec <&-; exit 0)"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=desk.environ,
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_ctrl_c_ends_with_the_status_that_shells_know(desk):
    """130, so that a loop in a shell ends too; and no word of a bug."""
    words = [sys.executable, "-m", "jobrunner", "enqueue", "parcel.deliver", "--file", "-"]
    with subprocess.Popen(
        words, env=desk.environ, cwd=desk.folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(
            '{"tenantId": "t1", "number": 1}\n' * 20_000
        )  # more than a pipe holds, so it reads
        process.stdin.flush()
        status = None
        while status is None:  # one that comes between two reads waits for the next
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = process.wait(1)
        said = process.stderr.read()
    assert status == 130
    assert "Traceback" not in said
    assert "bug" not in said


INTERRUPTING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED_AT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["jobrunner.cli", "click", "jobrunner.cli.queues"])
@pytest.mark.parametrize(
    "start",
    [["-m", "jobrunner"], ["-c", "from jobrunner.__main__ import main; main()"]],
    ids=["-m", "script"],
)
def test_ctrl_c_while_the_command_is_imported_is_no_traceback(desk, start, module):
    """It takes a tenth of a second, in which whoever has mistyped something has seen it."""
    (desk.folder / "sitecustomize.py").write_text(INTERRUPTING)
    environ = desk.environ | {"PYTHONPATH": str(desk.folder), "INTERRUPTED_AT": module}
    done = subprocess.run(
        [sys.executable, *start, "queues"],
        env=environ,
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
