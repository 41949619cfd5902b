"""The tutorial does what it says: its files and commands, in their order, as a stranger would follow them.

The reader's environment is one of its own, with the core's wheel in it. There is no network: for the package index
stand distributions that are installed here, and of those only what the core declares that it needs.
"""

import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .pages import ROOT, blocks

pytestmark = pytest.mark.long

PAGE = (ROOT / "docs/tutorial/first-plugin.md").read_text("utf-8")
WORKER = "jobrunner --embedded run\n"


@pytest.fixture
def environ(tmp_path):
    """The reader's variables: none of ours, and a pip that asks nobody."""
    wheels = tmp_path / "wheels"
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(command, cwd=ROOT / "core", check=True, capture_output=True)
    left_out = ("REDIS_", "JOBRUNNER_", "PIP_", "PYTHON", "PYTEST", "VIRTUAL_ENV", "UV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's own spelling of "without isolation"
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INDEX": "1",
    }


def required(*names):
    """The distributions that some need, and those that these need, with their extras; themselves too."""
    found, left = {}, [Requirement(name) for name in names]
    done = set()
    while left:
        asked = left.pop()
        for extra in ("", *asked.extras):
            if (canonicalize_name(asked.name), extra) in done:
                continue
            done.add((canonicalize_name(asked.name), extra))
            dist = found[canonicalize_name(asked.name)] = distribution(asked.name)
            needs = map(Requirement, dist.requires or [])
            left += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
    return found


def lend(venv, folder):
    """Let an environment have what the core says that it needs, and what builds a plugin: nothing else, nothing of ours."""
    folder.mkdir()
    lent = required("jobrunner-core[embedded,testing]", "hatchling", "editables")
    del lent["jobrunner-core"]
    for dist in lent.values():
        for name in {file.parts[0] for file in dist.files} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(dist.locate_file(name))
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(f"{folder}\n")


class Reader:
    """Follows the page in a folder: writes its files, and runs its commands in terminals of that folder."""

    def __init__(self, *, home, environ, start_process):
        self.home = home
        self.folder = home / "postcards"
        self.environ = environ
        self.start_process = start_process
        self.output = ""
        self.worker = None

    def begin(self, text):
        self._run(text, cwd=self.home)
        lend(self.folder / ".venv", self.home / "lent")

    def write(self, title, text):
        (self.folder / title).write_text(text, "utf-8")

    def type(self, text):
        """Run commands; the worker goes on in a terminal of its own."""
        activated = f". .venv/bin/activate\n{text}"
        if text == WORKER:
            variables = [f"{name}={value}" for name, value in self.environ.items()]
            shell = ["bash", "-ec", activated.replace("jobrunner", "exec jobrunner")]
            self.worker = self.start_process(["env", "-i", *variables, *shell], cwd=self.folder)
            self.worker.wait_for_line("worker.started")
        else:
            self._run(activated, cwd=self.folder)

    def _run(self, text, *, cwd):
        with (self.home / "terminal.log").open(
            "w+", encoding="utf-8"
        ) as log:  # a file: nobody can hold its end open
            command = ["bash", "-eu", "-c", text]
            ended = subprocess.run(
                command, env=self.environ, cwd=cwd, stdout=log, stderr=subprocess.STDOUT, timeout=300
            )
            log.seek(0)
            self.output = log.read()
        assert ended.returncode == 0, f"{text}\n{self.output}"


def plain(text):
    """An output without what differs from run to run: times, random numbers, and how often was tried."""
    for pattern, word in (
        (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME"),
        (r"\b[0-9a-f]{8}\b", "POSTMARK"),
        (r"\b\d+(\.\d+)? ?(ms|s)\b", "DURATION"),
        (r"(attempt|runs) +\d+", r"\1 NUMBER"),
    ):
        text = re.sub(pattern, word, text)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return [line for place, line in enumerate(lines) if line not in lines[:place] or " error " not in line]


def test_tutorial_works_as_written(tmp_path, environ, start_process):
    """Ten minutes are lost, and the reader with them, where one line of the page is off by a word."""
    pytest.importorskip("ensurepip", reason="python3 -m venv needs ensurepip")
    reader = Reader(home=tmp_path, environ=environ, start_process=start_process)
    first, *rest = blocks(PAGE)
    reader.begin(first.text)

    for block in rest:
        if block.title:
            reader.write(block.title, block.text)
        elif block.kind == "text":
            assert plain(reader.output) == plain(block.text)
        else:
            assert block.kind == "sh"
            reader.type(block.text)
            if "--id card-1" in block.text:
                reader.worker.wait_for_line("job.retried")
            elif block.text == "mkdir mailbox\n":
                reader.worker.wait_for_line("postcard.dropped")
                reader.worker.wait_for_line("job.completed")

    reader.worker.terminate()
    assert reader.worker.wait() == 0
