"""The front page's first queue does what it says, command by command, in a folder of its own."""

import asyncio
import re

import pytest
from rig.snippets import ROOT, execute

OFFLINE = {"PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_NO_SYNC": "1"}


@pytest.mark.long
@pytest.mark.reads("README.md", "see-it-work")
def test_two_commands_of_the_top_work_in_a_clone(snippets, terminal):
    """The first thing that anybody types. What they install is here already, and the tests are found and not run."""
    (commands,) = snippets
    terminal.environ |= OFFLINE | {"PYTEST_ADDOPTS": "--collect-only -q -n 0 -p no:cacheprovider"}
    if "Name: uv" not in terminal.type("pip show uv || true"):
        pytest.skip("pip has not installed uv here, and there may be no network to do so")

    told = terminal.type(f"cd {ROOT}\n{commands.text}")

    assert "526 of 526 effects arrived exactly once" in told
    assert "tests/docs/test_readme.py::test_first_queue_works_as_written" in told


@pytest.mark.runs("README.md", "your-first-queue")
async def test_first_queue_works_as_written(snippets, terminal, monkeypatch, capsys):
    """The page promises that a newcomer sees a job run; a step that is off by a word would lose them."""
    plugin, run, enqueue, producer = snippets
    terminal.write("greeting.py", plugin.text)
    worker = terminal.leave_running(run.text)
    worker.wait_for_line("worker.started")

    job_id = terminal.type(enqueue.text).strip()
    worker.wait_for_line("greeted")
    worker.wait_for_line("job.completed")
    shown = terminal.type(f"jobrunner --embedded jobs show greeting.send {job_id}")

    assert re.fullmatch(r"[0-9a-z]{26}", job_id)
    assert "Hello Ada" in shown

    # From Python. The minute that the page lets pass is cut short by somebody who cannot wait.
    monkeypatch.setenv("REDIS_URL", f"embedded://{terminal.folder}/.jobrunner")
    monkeypatch.setenv("JOBRUNNER_PLUGINS", str(terminal.folder / "greeting.py"))
    ending = asyncio.create_task(execute(producer))
    hurry = "until jobrunner --embedded jobs promote greeting.send hello-ada; do sleep 0.1; done"
    await asyncio.to_thread(terminal.type, hurry)
    await ending

    assert capsys.readouterr().out == "Hello Ada\n"
    terminal.end(worker)
