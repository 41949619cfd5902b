"""`plugins/sandbox/README.md`: its server is used, its demos are played to the end, its stand-ins serve a worker."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from rig.snippets import execute

PAGE = "plugins/sandbox/README.md"


@pytest.mark.runs(PAGE, "jobrunner-sandbox", "python")
async def test_server_of_the_page_takes_a_post(snippets):
    """The example asserts by itself what it shows."""
    (example,) = snippets

    await execute(example)


@pytest.fixture
def short_folder():
    """A folder for what a demo keeps; with a name that leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(prefix="jr-") as folder:
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.runs(PAGE, "jobrunner-demo")
def test_demos_of_the_page_arrive_exactly_once(snippets, terminal, short_folder):
    """Each ends with status 0 only if they do. Five of them take a minute; small ones are in every run."""
    (demos,) = snippets
    terminal.environ["TMPDIR"] = str(short_folder)

    *told, summary = re.split(r"^(?=\{)", terminal.type(demos.text), flags=re.MULTILINE)

    assert re.findall(r"^(\d+) of (\d+) effects arrived exactly once", told[0], re.MULTILINE)[:2] == [
        ("526", "526"),
        ("526", "526"),
    ]
    assert list(short_folder.glob("*/posts.db"))
    assert list(short_folder.glob("*/mails/*.eml"))
    assert json.loads(summary)["jobs"] == json.loads(summary)["completed"]


@pytest.mark.long
@pytest.mark.runs(PAGE, "jobrunner-sandbox", "sh")
def test_stand_ins_of_the_page_serve_until_they_are_stopped(snippets, terminal, redis_url):
    """Ctrl-C on the first command lets the second begin."""
    (commands,) = snippets
    terminal.environ["REDIS_URL"] = redis_url

    running = terminal.leave_running(commands.text)
    running.wait_for_line("^JOBRUNNER_PUBLISH_X_URL=http://127.0.0.1:")
    terminal.interrupt(running)
    running.wait_for_line("worker.started.*publish.dispatch")

    assert "worker.stopped" in terminal.end(running)
