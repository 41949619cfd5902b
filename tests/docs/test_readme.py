"""The front page does what it says, command by command, in a folder of its own."""

import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def block(kind, *, with_text):
    """The code block of a kind that holds a text."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)
    return next(text for text in blocks if with_text in text)


def environ():
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
    }


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "greeting.py").write_text(block("python", with_text="async def greet"))
    return tmp_path


def jobrunner(start_process, folder, line):
    """Start a command of the page as it stands there."""
    import shlex

    words = shlex.split(line)
    assert words[0] == "jobrunner"
    return start_process([sys.executable, "-m", *words], env=environ(), cwd=folder)


def test_first_queue_works_as_written(start_process, folder):
    """The page promises that a newcomer sees a job run; a step that is off by a word would lose them."""
    run = block("sh", with_text="run --plugin ./greeting.py").strip()
    enqueue = block("sh", with_text="enqueue greeting.send").strip()

    worker = jobrunner(start_process, folder, run)
    worker.wait_for_line("worker.started")
    producer = jobrunner(start_process, folder, enqueue)
    job_id = producer.wait_for_line(".")
    assert producer.wait() == 0
    assert re.fullmatch(r"[0-9a-z]{26}", job_id)

    worker.wait_for_line("greeted")
    worker.wait_for_line("job.completed")
    shown = jobrunner(start_process, folder, f"jobrunner --embedded jobs show greeting.send {job_id}")
    shown.wait_for_line("Hello Ada")
    assert shown.wait() == 0
    worker.terminate()
    assert worker.wait() == 0


def test_producer_of_the_page_works_as_written(start_process, folder):
    """The same from Python: delay and id as on the page, but for the wait."""
    snippet = block("python", with_text="Client.from_env()").replace("delay=60", "delay=0.2")
    body = "\n".join("    " + line for line in snippet.splitlines() if not line.startswith("from"))
    program = f"import asyncio\nfrom jobrunner import Client\n\n\nasync def main():\n{body}\n\n\nasyncio.run(main())\n"
    (folder / "produce.py").write_text(program)
    worker = jobrunner(start_process, folder, "jobrunner --embedded run --plugin ./greeting.py")
    worker.wait_for_line("worker.started")

    env = environ() | {
        "REDIS_URL": f"embedded://{folder}/.jobrunner",
        "JOBRUNNER_PLUGINS": str(folder / "greeting.py"),
    }
    producer = start_process([sys.executable, "produce.py"], env=env, cwd=folder)
    assert producer.wait_for_line(".") == "Hello Ada"
    assert producer.wait() == 0
    worker.terminate()
    assert worker.wait() == 0
