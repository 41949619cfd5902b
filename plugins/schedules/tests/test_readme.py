"""The README's blocks and tables, run and held to the code."""

import re
import shlex

import pytest
from rig.snippets import ROOT

from jobrunner.errors import JobrunnerError
from jobrunner.events import event_name
from jobrunner_schedules import firing, keeper
from jobrunner_schedules.book import MAX_SCHEDULES
from jobrunner_schedules.trail import SCHEDULE_EVENTS

PAGE = "plugins/schedules/README.md"
README = (ROOT / PAGE).read_text("utf-8")


@pytest.mark.runs(PAGE, "jobrunner-schedules", "sh")
def test_commands_do_what_is_said(house, snippets):
    """As they stand."""
    install, use = snippets
    assert install.text.split() == ["pip", "install", "jobrunner-schedules"]

    outputs = []
    for line in use.text.splitlines():
        _, _, *words = shlex.split(line)
        status, out, err = house.run(*words)
        assert status == 0, err
        outputs.append((out, err))

    listed, shown = outputs[2][0], outputs[3][0]
    assert re.search(r"^nightly +letters.send +30 2 \* \* \* Europe/Berlin ", listed, re.MULTILINE)
    assert re.search(r"^pulse +letters.send +every 15m ", listed, re.MULTILINE)
    assert len(re.findall(r"02:30:00 CES?T$", shown, re.MULTILINE)) == 5
    assert "nobody keeps the schedules" in outputs[2][1]


@pytest.mark.runs(PAGE, "files", "toml")
def test_file_can_be_applied(house, snippets):
    """Twice."""
    (file,) = snippets
    (house.folder / file.title).write_text(file.text)
    for said in ("new", "set"):
        status, out, err = house.run("apply", file.title)
        assert (status, out) == (0, f"nightly: {said}\npulse: {said}\n"), err
    assert (house.book.get("pulse").jitter, house.book.get("pulse").tenant) == (60, "acme")


@pytest.mark.runs(PAGE, "from-a-program", "python")
def test_program_works(house, snippets, start_process):
    """In a process of its own."""
    import sys

    (program,) = snippets
    (house.folder / program.title).write_text(program.text)
    process = start_process([sys.executable, program.title], env=house.environ, cwd=house.folder)
    assert process.wait(timeout_s=30) == 0, process.output()
    assert house.book.names() == ["weekly.acme", "weekly.globex"]
    assert house.book.get("weekly.globex").paused
    assert str(house.book.get("weekly.acme").next_at) in process.output()


def test_every_event_is_in_the_table_with_its_level():
    """An event that nobody can look up is noise."""
    rows = dict(re.findall(r"^\| `([a-z.]+)` \| (\w+) \|", README, re.MULTILINE))
    assert rows == {event_name(kind): kind.level for kind in SCHEDULE_EVENTS}


def test_figures_are_those_of_the_code():
    """Bounds and times that are promised."""
    for text in (
        f"One store takes {MAX_SCHEDULES:,} schedules",
        f"read more than {keeper.STALE_S:.0f} seconds ago",
    ):
        assert text in README.replace("\n", " ")
    assert firing.LATE_MS == 60_000, "none fires none that is more than a minute late"
    assert keeper.RETRY_MS == (5_000, 300_000), "5 s, 10 s ... 5 min"


def test_user_of_the_server_may_keep_and_change_schedules(tmp_path, start_server):
    """With what `doctor --acl` prints and what is said here, and without it not."""
    from schedule_house import OFTEN, House

    from jobrunner.store.address import parse_url
    from jobrunner.store.permissions import set_user

    server = start_server("valkey")
    keep = re.search(r"`(~jr:\{!schedules\}:\* [^`]*)`", README)[1].split()
    more = re.search(r"change them, also `([^`]*)`", README)[1].split()
    with server.client() as redis:
        for user, rules in (("keeper", [*keep, *more]), ("less", [])):
            words = set_user(user, "producer", parse_url(server.url), "jr", "pw").split()
            redis.execute_command(*words)
            redis.execute_command("ACL", "SETUSER", user, *rules)
    url = server.url.replace("redis://", "redis://{}:pw@")
    house = House(tmp_path, server, REDIS_URL=url.format("keeper"))
    house.book.put("often", OFTEN)
    house.back("often", 3_600_000)
    house.keeper.step()
    assert house.book.all()[0].last_job
    assert len(house.jobs()) == 1
    less = House(tmp_path, server, REDIS_URL=url.format("less"))
    with pytest.raises(JobrunnerError):
        less.book.put("other", OFTEN)
    for one in (house, less):
        one.close()
