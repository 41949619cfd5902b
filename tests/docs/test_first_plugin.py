"""The tutorial does what it says: its files and commands, in their order, as a stranger would follow them.

The reader's environment is one of its own, with the core's wheel in it. There is no network: for the package index
stand distributions that are installed here, and of those only what the core declares that it needs.
"""

import re
import subprocess

import pytest

from .index import build_wheels, lend, reader_environ

pytestmark = [pytest.mark.long, pytest.mark.runs("docs/tutorial/first-plugin.md")]

WORKER = "jobrunner --embedded run\n"


@pytest.fixture
def environ(tmp_path):
    """The reader's variables, with the core's wheel in the index and no other."""
    return reader_environ(build_wheels(tmp_path / "wheels", ["core"]))


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
        lend(self.folder / ".venv", self.home / "lent", "jobrunner-core[embedded,testing]")

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


def test_tutorial_works_as_written(snippets, tmp_path, environ, start_process):
    """Ten minutes are lost, and the reader with them, where one line of the page is off by a word."""
    pytest.importorskip("ensurepip", reason="python3 -m venv needs ensurepip")
    reader = Reader(home=tmp_path, environ=environ, start_process=start_process)
    first, *rest = snippets
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
