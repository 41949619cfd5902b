"""The steps of the BullMQ guide move the jobs of the real BullMQ, as they stand on the page."""

import os
import re
import shlex
import subprocess
import sys

import pytest

pytestmark = pytest.mark.long

PAGE = "docs/how-to/migrate/bullmq.md"
MAIL = {"userId": 7, "email": "ada@example.com"}


def steps(snippets):
    """Each command of the section, in order; what is installed is installed here."""
    lines = [line for block in snippets if block.kind == "sh" for line in block.text.splitlines()]
    return [shlex.split(line) for line in lines if not line.startswith("pip ")]


@pytest.fixture
def desk(snippets, tmp_path, start_server, bullmq_folder):
    """A folder with the page's files and BullMQ, and the variables of somebody who follows it."""
    for block in snippets:
        if block.title:
            (tmp_path / block.title).write_text(block.text, "utf-8")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/bullmq").symlink_to(bullmq_folder / "node_modules/bullmq5")
    server = start_server()
    left_out = ("REDIS_", "JOBRUNNER_", "BULLMQ_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    kept |= {"REDIS_URL": server.url, "BULLMQ_URL": server.url, "JOBRUNNER_PLUGINS": "./mail.py"}
    return server, tmp_path, kept


def do(words, folder, environ):
    command = [sys.executable, "-m", "jobrunner", *words[1:]] if words[0] == "jobrunner" else words
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


@pytest.mark.runs(PAGE, "after")
@pytest.mark.runs(PAGE, "move-the-jobs-that-wait")
def test_steps_of_the_guide_move_the_jobs_and_the_new_worker_runs_them(snippets, desk, start_bull):
    """Whoever follows it has one try, with jobs that matter."""
    server, folder, environ = desk
    bull = start_bull(server)
    bull.add(
        ("welcome", MAIL, {"jobId": "welcome-7", "priority": 1, "attempts": 5}),
        ("welcome", MAIL | {"userId": 8}, {"delay": 3_600_000}),
        ("goodbye", {"why": "moved"}),
    )

    told = [do(words, folder, environ) for words in steps(snippets)]
    producer = do([sys.executable, "producer.py"], folder, environ)
    delayed = do(
        ["jobrunner", "jobs", "list", "mail.welcome", "--state", "delayed", "--json"], folder, environ
    )
    do(["jobrunner", "clear", "mail.welcome", "--status", "delayed", "--yes"], folder, environ)
    log = do(["jobrunner", "run", "--burst", "--fail-on-failed"], folder, environ)

    assert [words[0] for words in steps(snippets)] == ["jobrunner", "node", "jobrunner"]
    dry, paused, moved = told
    assert re.search(r"^prioritized +1 +1 ", dry, re.MULTILINE)
    assert "paused: 1" in paused
    assert re.search(r"^prioritized +1 +1 ", moved, re.MULTILINE)
    assert re.search(r"^delayed +1 +1 ", moved, re.MULTILINE)
    assert re.search(r"^of other names +1 ", moved, re.MULTILINE)
    assert producer.strip() == "welcome-7 was there"
    assert '"mail-2-' in delayed
    assert re.search(r'"job\.completed".*"welcome-7"', log)
    assert [job["name"] for job in bull.ask("jobs", states=["paused", "waiting"])] == ["goodbye"]


PREAMBLE = """
const connection = { url: process.env.BULLMQ_URL };
const sendMail = async (address) => `sent to ${address}`;
"""
AFTERWARDS = """
let job;
do {
  await new Promise((resume) => setTimeout(resume, 50));
  job = await queue.getJob("welcome-7");
} while (!(await job.isCompleted()));
console.log(job.returnvalue, job.progress);
process.exit(0);
"""


@pytest.mark.runs(PAGE, "before")
def test_what_is_shown_of_bullmq_is_bullmq(snippets, start_server, bullmq_folder, tmp_path):
    """What somebody recognises as their own has to be right first; it needs a connection and a `sendMail`."""
    (shown,) = snippets
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/bullmq").symlink_to(bullmq_folder / "node_modules/bullmq5")
    (tmp_path / "before.mjs").write_text(PREAMBLE + shown.text + AFTERWARDS, "utf-8")

    told = do(["node", "before.mjs"], tmp_path, os.environ | {"BULLMQ_URL": start_server().url})

    assert told == "sent to ada@example.com 100\n"
