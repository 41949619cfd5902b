"""Processes of the rig are waited for by what they do, and end with all that they started."""

import fcntl
import signal
import sys
from pathlib import Path

import pytest
from rig.fixtures import StartProcess
from rig.processes import Process, ProcessError

SHORT_S = 0.2  # how long a test waits for what cannot come
PATIENT = "import time; print('ready', flush=True); time.sleep(600)"
PARENT = """
import fcntl, subprocess, sys, time
child = "import fcntl, sys, time; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX); print('held', flush=True);"
subprocess.Popen([sys.executable, "-c", child + "time.sleep(600)", sys.argv[1]])
if sys.argv[2] == "stay":
    time.sleep(600)
"""
POLITE = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
while True:
    signal.pause()
"""


def python(source: str, *arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-c", source, *arguments]


def test_line_is_found_before_and_after_it_was_written(start_process: StartProcess) -> None:
    """A test may be slower or quicker than the process that it waits for."""
    process = start_process(python("print('one'); import sys; print('two and', 2, file=sys.stderr)"))
    assert process.wait_for_line(r"two and \d") == "two and 2"
    assert process.wait_for_line("^one$") == "one"
    assert process.wait() == 0
    assert process.wait_for_line("^one$") == "one"
    assert process.output().count("\n") == 2


def test_end_of_output_ends_the_wait_with_what_was_written(start_process: StartProcess) -> None:
    """A worker that fails at its start is reported at once, with its own words."""
    process = start_process(python("raise SystemExit('cannot reach the store')"))
    with pytest.raises(ProcessError, match="cannot reach the store"):
        process.wait_for_line("ready", timeout_s=600)
    assert process.wait() == 1


def test_silence_ends_the_wait_at_its_deadline(start_process: StartProcess) -> None:
    """A process that hangs is an error too, and stays there to be looked at."""
    process = start_process(python(PATIENT))
    with pytest.raises(ProcessError, match="no line with 'never'"):
        process.wait_for_line("never", timeout_s=SHORT_S)
    with pytest.raises(ProcessError, match="still running"):
        process.wait(timeout_s=SHORT_S)
    assert process.alive


def test_variables_and_folder_reach_the_process(start_process: StartProcess, tmp_path: Path) -> None:
    """Workers are set up through their environment."""
    source = "import os; print(os.environ['GREETING'], os.getcwd())"
    process = start_process(python(source), env={"GREETING": "hello"}, cwd=tmp_path)
    assert process.wait_for_line("hello") == f"hello {tmp_path}"


def test_killed_process_has_the_signals_status(start_process: StartProcess) -> None:
    """SIGKILL is what crash tests stand on: nothing of the process runs after it."""
    process = start_process(python(PATIENT))
    process.wait_for_line("ready")
    process.kill()
    assert not process.alive
    assert process.wait() == -signal.SIGKILL
    process.kill()


def test_terminated_process_may_end_in_its_own_way(start_process: StartProcess) -> None:
    """Graceful shutdown is judged by the exit status."""
    process = start_process(python(POLITE))
    process.wait_for_line("ready")
    process.terminate()
    assert process.wait() == 7


@pytest.mark.skipif(
    sys.platform != "linux", reason="waits for stopped children, which only Linux tells all of"
)
def test_frozen_process_stands_still_until_thawed(start_process: StartProcess) -> None:
    """A frozen worker is alive and does nothing: it does not even see a request to end."""
    process = start_process(python(POLITE))
    process.wait_for_line("ready")

    process.freeze()
    process.terminate()
    with pytest.raises(ProcessError, match="still running"):
        process.wait(timeout_s=SHORT_S)

    process.thaw()
    assert process.wait() == 7


@pytest.mark.parametrize("parent", ["stay", "leave"])
def test_children_end_with_the_process(tmp_path: Path, parent: str) -> None:
    """A worker's own children must not live on, whether or not it died before them."""
    lock = tmp_path / "lock"
    with Process(python(PARENT, lock, parent), log=tmp_path / "log") as process:
        process.wait_for_line("held")
        if parent == "leave":
            assert process.wait() == 0

    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a living child would hold it


def test_frozen_process_is_ended_too(tmp_path: Path) -> None:
    """A test that fails between freezing and thawing leaves nothing behind."""
    with Process(python(PATIENT), log=tmp_path / "log") as process:
        process.wait_for_line("ready")
        process.freeze()
    assert process.wait() == -signal.SIGKILL
    process.close()
