"""Tests of one group run in one process: each of them would start servers or environments of its own otherwise."""

import os
import re
import subprocess
import sys

GROUPED = """
import pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_grouped(number):
    pass
"""


def test_tests_of_a_group_run_in_one_process(tmp_path):
    """A pytest that its xdist does not know yet lets the mark pass unseen, and nothing fails."""
    (tmp_path / "test_grouped.py").write_text(GROUPED)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-v",
        "-n",
        "2",
        "--dist",
        "loadgroup",
        "-p",
        "no:cacheprovider",
    ]

    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)

    processes = re.findall(r"^\[(gw\d)\].* PASSED ", done.stdout, re.MULTILINE)
    assert len(processes) == 8, done.stdout
    assert len(set(processes)) == 1
