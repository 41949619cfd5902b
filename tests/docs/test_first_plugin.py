"""The tutorial does what it says: its files and commands, in their order, as a stranger would follow them.

The reader's environment is one of its own, with the core's wheel in it. There is no network: for the package index
stand distributions that are installed here, and of those only what the core declares that it needs.
"""

import re

import pytest

from .index import build_wheels, lend, reader_environ

pytestmark = [pytest.mark.long, pytest.mark.runs("docs/tutorial/first-plugin.md")]

WORKER = "jobrunner --embedded run\n"
ACTIVATE = ". .venv/bin/activate\n"
"""What every terminal of the page begins with."""


@pytest.fixture
def environ(tmp_path):
    """The reader's variables, with the core's wheel in the index and no other."""
    return reader_environ(build_wheels(tmp_path / "wheels", ["core"]))


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


def test_tutorial_works_as_written(snippets, environ, open_terminal):
    """Ten minutes are lost, and the reader with them, where one line of the page is off by a word."""
    pytest.importorskip("ensurepip", reason="python3 -m venv needs ensurepip")
    begin, *rest = snippets
    terminal = open_terminal(environ)
    home = terminal.folder
    terminal.type(begin.text)
    terminal.folder = home / "postcards"
    lend(terminal.folder / ".venv", home / "lent", "jobrunner-core[embedded,testing]")

    output, worker = "", None
    for block in rest:
        if block.title:
            terminal.write(block.title, block.text)
        elif block.kind == "text":
            assert plain(output) == plain(block.text)
        elif block.text == WORKER:
            worker = terminal.leave_running(ACTIVATE + block.text)
            worker.wait_for_line("worker.started")
        else:
            assert block.kind == "sh"
            output = terminal.type(ACTIVATE + block.text)
            if "--id card-1" in block.text:
                worker.wait_for_line("job.retried")
            elif block.text == "mkdir mailbox\n":
                worker.wait_for_line("postcard.dropped")
                worker.wait_for_line("job.completed")

    terminal.end(worker)
