"""The steps of the BullMQ guide move the jobs of the real BullMQ, typed as they stand on the page."""

import re

import pytest

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reader")]

PAGE = "docs/how-to/migrate/bullmq.md"
README = "plugins/bullmq/README.md"
MAIL = {"userId": 7, "email": "ada@example.com"}


@pytest.fixture
def server(start_server):
    """A server for both sides."""
    return start_server()


@pytest.fixture
def desk(shop, open_terminal, server, bullmq_folder):
    """A terminal of somebody who follows the guide: BullMQ is there, and both servers are named."""
    terminal = open_terminal(shop, REDIS_URL=server.url, BULLMQ_URL=server.url, JOBRUNNER_PLUGINS="./mail.py")
    (terminal.folder / "node_modules").mkdir()
    (terminal.folder / "node_modules/bullmq").symlink_to(bullmq_folder / "node_modules/bullmq5")
    return terminal


@pytest.mark.runs(PAGE, "after")
@pytest.mark.runs(PAGE, "move-the-jobs-that-wait")
def test_steps_of_the_guide_move_the_jobs_and_the_new_worker_runs_them(snippets, desk, server, start_bull):
    """Whoever follows it has one try, with jobs that matter."""
    mail, producer, install, look, pause, run_pause, move = snippets
    for file in (mail, producer, pause):
        desk.write(file.title, file.text)
    bull = start_bull(server)
    bull.add(
        ("welcome", MAIL, {"jobId": "welcome-7", "priority": 1, "attempts": 5}),
        ("welcome", MAIL | {"userId": 8}, {"delay": 3_600_000}),
        ("goodbye", {"why": "moved"}),
    )

    desk.type(install.text)
    dry, paused, moved = (desk.type(step.text) for step in (look, run_pause, move))
    produced = desk.type("python producer.py")
    delayed = desk.type("jobrunner jobs list mail.welcome --state delayed --json")
    desk.type("jobrunner clear mail.welcome --status delayed --yes")
    log = desk.type("jobrunner run --burst --fail-on-failed")

    assert re.search(r"^prioritized +1 +1 ", dry, re.MULTILINE)
    assert "paused: 1" in paused
    assert re.search(r"^prioritized +1 +1 ", moved, re.MULTILINE)
    assert re.search(r"^delayed +1 +1 ", moved, re.MULTILINE)
    assert re.search(r"^of other names +1 ", moved, re.MULTILINE)
    assert produced.strip() == "welcome-7 was there"
    assert '"mail-2-' in delayed
    assert re.search(r'"job\.completed".*"welcome-7"', log)
    assert [job["name"] for job in bull.ask("jobs", states=["paused", "waiting"])] == ["goodbye"]


@pytest.mark.runs(README, "jobrunner-bullmq")
@pytest.mark.runs(PAGE, "after")
def test_readme_moves_the_jobs(snippets, desk, server, start_bull):
    """With the plugin of the guide, to which it leads."""
    mail, producer, commands = snippets
    for file in (mail, producer):
        desk.write(file.title, file.text)
    bull = start_bull(server)
    bull.add(("welcome", MAIL, {"jobId": "welcome-7", "priority": 1}))

    told = desk.type(commands.text)

    assert len(re.findall(r"^prioritized +1 +1 ", told, re.MULTILINE)) == 2
    assert bull.ask("jobs", states=["prioritized", "waiting"]) == []
    assert desk.type("python producer.py").strip() == "welcome-7 was there"


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
def test_what_is_shown_of_bullmq_is_bullmq(snippets, desk):
    """What somebody recognises as their own has to be right first; it needs a connection and a `sendMail`."""
    (shown,) = snippets
    desk.write("before.mjs", PREAMBLE + shown.text + AFTERWARDS)

    told = desk.type("node before.mjs")

    assert told == "sent to ada@example.com 100\n"
