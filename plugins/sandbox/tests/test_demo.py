"""`jobrunner demo` as a real process: what it shows, what it proves, and that nothing of it is left behind."""

import asyncio
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import time
from email import message_from_bytes

import click
import httpx
import pytest

from jobrunner_sandbox import Behaviour
from jobrunner_sandbox.cast import cast
from jobrunner_sandbox.demo import play
from jobrunner_sandbox.parts import choose
from jobrunner_sandbox.screen import Screen
from jobrunner_sandbox.stage import stage
from jobrunner_sandbox.summary import verdict

PLUGINS = ("content", "image", "approval", "whatsapp", "publish", "analytics")


def test_demo_tells_the_whole_story_once_and_leaves_nothing_behind(commands):
    """The first thing that a newcomer runs; some calls fail on the way, and a post is scheduled ahead."""
    done = commands.run("demo", "--jobs", "12", "--fail-rate", "0.1", "--json")

    assert done.returncode == 0, done.stderr + done.stdout
    summary = json.loads(done.stdout)
    assert summary["completed"] == summary["jobs"] > 12 * 4
    assert summary["attempts"] == summary["jobs"] + summary["retries"]
    assert set(summary["queues"]) == {
        *("content.generate.monthly", "content.regen.single", "image.generate", "approval.notify"),
        *("whatsapp-messages", "publish.dispatch", "analytics.pull"),
    }
    assert {kind: (one["expected"], one["once"]) for kind, one in summary["proof"].items()} == {
        "posts written": (13, 13),
        "posts rewritten": (13, 13),  # about ten of a company's, so each where there are so few
        "images drawn": (13, 13),
        "mails": (13, 13),
        "messages": (18, 18),  # 5 of the campaign, and one for each post, since there are so few
        "posts published": (13, 13),
        "metric rows": (39, 39),
    }
    assert set(summary["posts"]) == {"facebook", "instagram", "linkedin", "mastodon", "x"}
    large, small = summary["tenants"]["north-harbour"], summary["tenants"]["fjord-bakery"]
    assert (large["posts"], small["posts"]) == (12, 1)
    assert small["seconds"] < large["seconds"], "the small one waited for the large one"
    assert commands.left() == []


@pytest.mark.long
def test_demo_serves_a_dashboard_with_its_jobs_until_it_is_stopped(commands):
    """Looking on is half of the show, and the verdict must not get lost by the looking."""
    with commands.start(
        "demo", "--jobs", "3", "--fail-rate", "0", "--serve", "--port", "0", "--json"
    ) as process:
        link = next(line for line in process.stderr if line.startswith("dashboard: ")).split()[1]
        summary = json.loads(process.stdout.readline())
        with httpx.Client(follow_redirects=True) as browser:
            page = browser.get(link)
            if page.url.path.startswith("/login"):
                page = browser.get(page.url.join("/"))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0

    assert summary["completed"] == summary["jobs"]
    assert page.status_code == 200
    assert "publish.dispatch" in page.text
    assert commands.left() == []


@pytest.mark.long
def test_demo_prints_plain_lines_in_a_pipe(commands):
    """No colours, no cursor: a log of it must be readable."""
    done = commands.run("demo", "--jobs", "5", "--fail-rate", "0")

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[0] == "a month of posts: 5 of north-harbour, 1 of fjord-bakery"
    line = r"^ *\d+\.\d s  \d+ of 45 jobs done, \d+ retries; north-harbour: \d written, .*; fjord-bakery: \d written, "
    assert re.search(line, done.stdout, re.MULTILINE)
    assert re.search(r"^publish\.dispatch +6 +6 +0 +0$", done.stdout, re.MULTILINE)
    assert re.search(r"^images drawn +6 +6$", done.stdout, re.MULTILINE)
    assert "fjord-bakery was through with its 1 post after " in done.stdout
    assert "57 of 57 effects arrived exactly once" in done.stdout


@pytest.mark.long
def test_demo_shows_a_live_picture_at_a_terminal(commands):
    """Bars that move, a cursor that comes back, and the table that stays."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "jobrunner", "demo", "--jobs", "3", "--fail-rate", "0"]
    environ = commands.environ(TERM="xterm-256color", COLUMNS="80")
    with subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)

    text = shown.decode()
    assert process.returncode == 0, text
    assert "█" in text
    assert "jobs a second" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is hidden for good"
    assert "what happened" in text.rpartition("\x1b[?25h")[2]


def _read(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux, where the last process has closed it
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_that_is_interrupted_leaves_no_process_and_no_folder(commands, number):
    """Ctrl-C is how people end a demo, more than once if it takes a moment; or they close the terminal."""
    with commands.start("demo", "--latency", "1") as process:
        process.stdout.readline()
        process.stdout.readline()  # now it plays
        for _ in range(3):
            process.send_signal(number)
        _, error = process.communicate(timeout=40)

    assert process.returncode == 128 + number
    assert error == f"stopped by {number.name}\n"
    assert commands.left() == []


def test_demo_whose_worker_dies_says_so_and_leaves_nothing_behind(commands):
    """A picture that stands still would be worse."""
    with commands.start("demo", "--latency", "1") as process:
        process.stdout.readline()
        process.stdout.readline()
        workers = []
        while not workers and process.poll() is None:
            command = ["pgrep", "-P", str(process.pid), "-f", "jobrunner run"]
            workers = subprocess.run(command, capture_output=True).stdout.split()
        (worker,) = workers
        os.kill(int(worker), signal.SIGKILL)
        _, error = process.communicate(timeout=40)

    assert process.returncode == 1
    assert error.startswith("error: the worker ended with status -9; it said last: ")
    assert error.count("\n") == 1
    assert commands.left() == []


def setting(commands, posts, *, plugins=PLUGINS, behaviour=None):
    """A stage in a folder that is looked at, with the parts of some plugins."""
    folder = commands.folder / "stage"
    folder.mkdir()
    return stage(
        behaviour or Behaviour(), processes=1, companies=cast(posts), parts=choose(plugins), keep=folder
    )


def test_server_ends_with_the_stage_even_where_its_last_user_was_killed(commands):
    """A worker that is stopped before it listens to signals dies as the last user, and cannot end the server."""
    with setting(commands, 1, plugins=("publish",)) as here:
        deadline = time.monotonic() + 30
        while "worker.started" not in here.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        here.worker.kill()
        here.worker.wait()
    assert "worker.started" in here.log.read_text()
    assert commands.left() == []


def test_post_of_which_nobody_knows_is_told_by_its_job(commands):
    """An answer is lost, and the platform does not let the worker look: that must not pass for published or missing."""
    with setting(commands, 5, plugins=("publish",), behaviour=Behaviour(lost_rate=1e-9)) as here:
        page = here.companies[0].accounts["facebook"].id
        here.server.faults.next("graph", method="POST", path=f"*/{page}/feed", lost=True)
        here.server.faults.next("graph", method="GET", path=f"*/{page}/feed", status=403)
        summary = asyncio.run(play(here, Screen(quiet=True)))

    assert (summary.completed, summary.failed) == (5, 1)
    name = f"north-harbour-005 facebook {page}"
    assert summary.proof["posts published"].unknown == [name]
    assert summary.holds
    assert f"posts published: 1 unknown, since an answer was lost: {name}" in verdict(summary)[1]


@pytest.mark.long
def test_mail_and_message_of_which_nobody_knows_are_told(commands):
    """Neither mail nor the Cloud API can be asked; the story goes on, and says so at its end."""
    plugins = ("approval", "whatsapp")
    with setting(commands, 1, plugins=plugins, behaviour=Behaviour(lost_rate=1e-9)) as here:
        here.server.faults.next("smtp", method="DATA", path="*approver-1@fjord-bakery.example", lost=True)
        here.server.faults.next("whatsapp", lost=True)
        summary = asyncio.run(play(here, Screen(quiet=True)))

    assert summary.proof["mails"].unknown == ["approver-1@fjord-bakery.example fjord-bakery-001"]
    assert len(summary.proof["messages"].unknown) == 1
    assert (summary.proof["mails"].once, summary.proof["messages"].once) == (2, 4)
    assert summary.holds


@pytest.mark.parametrize(
    ("plugins", "kinds"),
    [
        (("publish",), ["posts published"]),
        (("content", "image"), ["posts written", "posts rewritten", "images drawn"]),
        (("approval", "publish", "analytics"), ["mails", "posts published", "metric rows"]),
        (("content", "analytics"), ["posts written", "posts rewritten"]),
    ],
    ids=lambda value: "-".join(value).replace(" ", "_"),
)
@pytest.mark.long
def test_story_is_told_without_plugins_that_are_not_installed(commands, plugins, kinds):
    """Who installed one plugin sees what that one does."""
    with setting(commands, 5, plugins=plugins) as here:
        summary = asyncio.run(play(here, Screen(quiet=True)))
    assert list(summary.proof) == kinds
    assert summary.holds, verdict(summary)
    assert commands.left() == []


def test_parts_that_are_left_out_are_named_with_what_helps():
    """Nobody should wonder why a part is missing; and with none there is nothing to show."""
    chosen = choose({"publish", "content", "somebody-elses"})
    assert chosen.told == ("content", "rewriting", "publish")
    assert chosen.plugins == ("content", "publish")
    assert "without image: `pip install jobrunner-image`" in chosen.left_out
    assert len(chosen.left_out) == 4
    with pytest.raises(click.UsageError, match="pip install jobrunner-content jobrunner-image ") as refused:
        choose({"somebody-elses", "analytics"})
    assert refused.value.exit_code == 2


@pytest.mark.long
def test_demo_is_the_same_whatever_is_set_around_it(commands):
    """A newcomer's shell may be set up for another store, or for a proxy that does not know this machine."""
    done = commands.run(
        *("demo", "--jobs", "4", "--lost-rate", "0.2", "--workers", "2", "--json"),
        JOBRUNNER_PREFIX="another",
        JOBRUNNER_PUBLISH_POLL_INTERVAL="nonsense",
        JOBRUNNER_CONTENT_DATABASE_URL="nonsense",
        WA_WORKER_CONCURRENCY="nonsense",
        REDIS_HOST="nowhere.invalid",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["proof"]["posts published"]["expected"] == 5
    assert commands.left() == []


@pytest.mark.long
def test_demo_keeps_what_was_made_where_it_is_asked_to(commands):
    """To look around in: posts, images and mails, and the jobs with the commands that an operator has."""
    done = commands.run("demo", "--jobs", "3", "--fail-rate", "0", "--keep")
    assert done.returncode == 0, done.stderr
    (folder,) = commands.folder.glob("jobrunner-demo-*")

    for place in ("posts.db", "images", "mails", "metrics.db"):
        assert str(folder / place) in done.stderr
    with sqlite3.connect(folder / "posts.db") as posts:
        assert posts.execute("SELECT count(*) FROM content_posts").fetchone() == (4,)
    assert len(list(folder.glob("images/*/*.jpg"))) == 4
    mails = [message_from_bytes(file.read_bytes()) for file in sorted(folder.glob("mails/*.eml"))]
    assert len(mails) == 4
    assert all(mail["Subject"].startswith("Approval needed: ") for mail in mails)
    assert (folder / "worker.log").stat().st_size > 0
    url = re.search(r"REDIS_URL=(\S+) jobrunner jobs list", done.stderr)[1]
    listed = commands.run("jobs", "list", "publish.dispatch", "--state", "completed", "--json", REDIS_URL=url)
    assert len(json.loads(listed.stdout)) == 4


@pytest.mark.parametrize(("option", "value"), [("--fail-rate", "1.5"), ("--lost-rate", "often")])
def test_wrong_option_is_a_line_and_status_2(commands, option, value):
    """A typo must not start servers."""
    done = commands.run("demo", option, value)
    assert done.returncode == 2
    assert option in done.stderr
    assert commands.left() == []
