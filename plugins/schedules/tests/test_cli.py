"""`jobrunner schedules` as people and programs meet it."""

import json
import re
import signal
import subprocess
import sys

import msgspec
import pytest
from schedule_house import OFTEN

LETTER = '{"toWhom": "Ada"}'


def test_made_changed_paused_fired_and_removed(house):
    """Each command says what it did."""
    status, out, err = house.run("set", "pulse", "letters.send", LETTER, "--every", "15m")
    assert status == 0
    assert re.fullmatch(r"pulse: made; next at [A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:00 UTC\n", out)
    assert err.startswith("warning: nobody keeps the schedules, so none fires:")
    house.keeper.step()
    status, out, err = house.run("set", "pulse", "letters.send", LETTER, "--every", "30m")
    assert (status, out.partition(";")[0], err) == (0, "pulse: changed", "")
    assert house.run("pause", "pulse") == (0, "pulse: paused\n", "")
    status, out, _ = house.run("list")
    assert re.search(r"^pulse +letters.send +every 30m +paused$", out, re.MULTILINE)
    assert house.run("resume", "pulse")[0] == 0
    status, out, _ = house.run("fire", "pulse")
    assert (status, [out.strip()]) == (0, house.jobs())
    assert house.run("remove", "pulse") == (0, "pulse: removed\n", "")
    assert house.run("list") == (0, "", "there is no schedule; `jobrunner schedules set` makes one\n")


def test_times_of_a_schedule_are_shown_by_its_own_clock(house):
    """Whoever wrote half past two looks for half past two."""
    words = ("letters.send", LETTER, "--cron", "30 2 * * *", "--timezone", "Asia/Tokyo")
    assert " 02:30:00 JST\n" in house.run("set", "nightly", *words)[1]
    assert house.run("pause", "nightly")[0] == 0
    assert house.run("set", "nightly", *words)[1] == "nightly: changed; it is paused\n"
    assert " 02:30:00 JST\n" in house.run("resume", "nightly")[1]
    house.back("nightly", 86_400_000)
    house.keeper.step()
    shown = house.run("show", "nightly", "--next", "2")[1]
    assert re.search(r"^  last      .* 02:30:00 JST, job nightly\.", shown, re.MULTILINE)
    assert re.search(r"^  next      .* 02:30:00 JST\n            .* 02:30:00 JST$", shown, re.MULTILINE)


def test_what_was_written_by_hand_can_be_seen_and_removed(house):
    """Whatever it is called, and wherever its next slot is."""
    house.book.put("far", OFTEN)
    names = ("a b", "x" * 300, "\x1b[31mred", "\udcff")
    with house.redis() as redis:
        redis.hset("jr:{!schedules}:standing", "far", '{"slot":253402300800000}')
        for name in names:
            redis.hset("jr:{!schedules}:rows", name.encode(errors="surrogateescape"), "[")
    assert len(json.loads(house.run("list", "--json")[1])) == 5
    for words in (("list",), ("show", "far")):
        status, out, err = house.run(*words)
        assert (status, "\x1b" in out, "error" in err) == (0, False, False)
    for name in (*names, "far"):
        status, out, err = house.run("remove", name)
        assert (status, err) == (0, "")
    assert house.book.names() == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["set", "a", "letters.send", "{"], "the payload is no JSON"),
        (["set", "a", "letters.send", "[]"], "payload"),
        (["set", "a", "letters.send", LETTER], "give either cron or every"),
        (["set", "a", "letters.send", LETTER, "--every", "1h", "--timezone", "Asia/Tokyo"], "it is for cron"),
        (["set", "a", "letters.send", LETTER, "--cron", "* * *"], "has not five fields"),
        (["set", "a", "letters.send", LETTER, "--every", "soon"], "'soon' is no interval; such as 30s"),
        (
            ["set", "a", "letters.send", LETTER, "--cron", "@daily", "--timezone", "Berlin"],
            "'Berlin' is no time zone",
        ),
        (["set", "a b", "letters.send", LETTER, "--every", "1h"], "'a b' is no name"),
        (["set", "a", "letters.sent", LETTER, "--every", "1h"], "letters.sent"),
        (["set", "a", "letters.send", '{"towhom": 1}', "--every", "1h"], "towhom"),
        (["show", "nothing"], "there is no schedule 'nothing'; `jobrunner schedules list`"),
        (["pause", "nothing"], "there is no schedule 'nothing'"),
        (["fire", "nothing"], "there is no schedule 'nothing'"),
        (["preview", "soon"], "error: every: 'soon' is no interval"),
        (["preview", "1h", "--after", "tomorrow"], "'tomorrow' is no time"),
        (["preview", "1h", "--after", "0001-01-01"], "not between 1970 and 9998"),
        (["preview", "* * * * *", "--after", "9999-12-31T23:59"], "not between 1970 and 9998"),
        (["apply", "nowhere.toml"], "error: nowhere.toml: No such file"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(house, words, problem):
    """With status 2, and nothing is written."""
    status, out, err = house.run(*words)
    assert (status, out) == (2, "")
    assert problem in err
    assert "Traceback" not in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert house.book.names() == []


def test_file_with_mistakes_changes_nothing_and_names_all_of_them(house):
    """A line each: wrong fields as well as payloads that do not fit."""
    file = house.folder / "schedules.toml"
    good = '[good]\nqueue = "letters.send"\npayload = {toWhom = "Ada"}\nevery = "1h"\n'
    file.write_text(
        good + '[a]\nqueue = "letters.send"\nevery = "1h"\ncolour = "red"\n[b]\nevery = 5\n["c d"]\n'
    )
    status, out, err = house.run("apply", "schedules.toml")
    assert (status, out) == (2, "")
    assert "nothing was changed" in err
    first, *problems = err.splitlines()
    assert first == "error: schedules.toml: nothing was changed:"
    parts = (
        "  schedule a: object contains unknown field `colour`",
        "  schedule b: ",
        "  'c d' is no name",
    )
    assert [line.startswith(part) for line, part in zip(problems, parts, strict=True)] == [True] * 3
    file.write_text(
        good + '[a]\nqueue = "letters.send"\nevery = "1h"\n[b]\nqueue = "letters.none"\nevery = "1h"\n'
    )
    status, out, err = house.run("apply", "schedules.toml")
    assert (status, out) == (2, "")
    assert "schedule a: letters.send: toWhom" in err
    assert "schedule b: " in err
    assert house.book.names() == []
    for text, problem in (
        ("x = 5\n", "it is no table"),
        ("[", "it is no TOML"),
        ("[a]\n[a]\n", "it is no TOML"),
    ):
        file.write_text(text)
        status, _, err = house.run("apply", "schedules.toml")
        assert (status, problem in err) == (2, True)
    file.write_bytes(b"\xff")
    assert house.run("apply", "schedules.toml")[0] == 2


def test_file_prunes_what_it_does_not_name(house):
    """Only where that is asked for, and a dry run tells before."""
    house.book.put("old", OFTEN)
    (house.folder / "s.toml").write_text(
        '[new]\nqueue = "letters.send"\npayload = {toWhom = "Ada"}\nevery = "1h"\n'
    )
    status, out, err = house.run("apply", "s.toml", "--prune", "--dry-run")
    assert (status, out) == (0, "new: new\nold: removed\n")
    assert "nothing was changed; it would be 1 schedule set, 1 removed" in err
    assert house.book.names() == ["old"]
    assert house.run("apply", "s.toml")[1] == "new: new\n"
    assert house.book.names() == ["new", "old"]
    assert house.run("apply", "s.toml", "--prune")[1] == "new: set\nold: removed\n"
    assert house.book.names() == ["new"]
    (house.folder / "s.toml").write_text("# written by a script that failed\n")
    status, out, err = house.run("apply", "s.toml", "--prune")
    assert (status, out) == (2, "")
    assert "s.toml names no schedule, so --prune would remove all 1" in err
    assert house.book.names() == ["new"]


@pytest.mark.parametrize("command", ["pause", "resume", "remove"])
def test_several_names_are_changed_together_or_none_is(house, command):
    """A mistyped one is told before the others are changed."""
    for name in ("a", "b"):
        house.book.put(name, OFTEN)
    house.book.pause("b")
    before = house.book.all()
    status, out, err = house.run(command, "a", "b", "nope")
    assert (status, out) == (2, "")
    assert "there is no schedule 'nope'" in err
    assert house.book.all() == before
    assert house.run(command, "a", "b")[0] == 0


def test_json_is_for_programs(house):
    """camelCase, and times in ms."""
    house.book.put("pulse", OFTEN)
    house.back("pulse", 3_600_000)
    house.keeper.step()
    (listed,) = json.loads(house.run("list", "--json")[1])
    shown = json.loads(house.run("show", "pulse", "--json", "--next", "3")[1])
    assert {**listed, "nextSlots": shown["nextSlots"]} == shown
    assert shown["nextSlots"] == [listed["nextAt"] + k * 3_600_000 for k in range(3)]
    assert (listed["name"], listed["lastJob"], listed["payload"]["token"]) == (
        "pulse",
        house.jobs()[0],
        "***",
    )
    assert json.loads(
        house.run("preview", "1h", "--after", "2027-01-01T00:30:00Z", "--json", "--next", "1")[1]
    ) == [1798765200000]


def test_trouble_is_in_the_list(house):
    """Whoever looks sees why nothing comes."""
    house.book.put("few", msgspec.structs.replace(OFTEN, queue="letters.few"))
    house.client.enqueue("letters.few", {"toWhom": "Bo"})
    house.back("few", 3_600_000)
    house.keeper.step()
    _status, out, _ = house.run("list")
    assert re.search(r"^few .* late .*full", out, re.MULTILINE)
    assert "error " in house.run("show", "few")[1]


def test_keeper_process_fires_and_ends_in_order(house, start_process):
    """SIGTERM and Ctrl-C end it with status 0; its lines are the log's."""
    house.book.put("second", msgspec.structs.replace(OFTEN, every="1s"))
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start_process(
            [sys.executable, "-m", "jobrunner", "schedules", "run", "--log-format", "json"],
            env=house.environ, cwd=house.folder,
        )  # fmt: skip
        process.wait_for_line("keeping 1 schedule of redis")
        process.wait_for_line('"event":"schedule.fired"')
        process.signal(number) if hasattr(process, "signal") else process.terminate()
        assert process.wait(timeout_s=10) == 0
    assert house.jobs()


def test_worker_that_loads_the_plugin_keeps_schedules(house, start_process):
    """With the plugins that it was given on its command line; of several processes the first does it."""
    house.book.put("second", msgspec.structs.replace(OFTEN, every="1s"))
    environ = {k: v for k, v in house.environ.items() if k != "JOBRUNNER_PLUGINS"}
    command = [sys.executable, "-m", "jobrunner", "run", "--plugin", "./letters.py", "--plugin", "schedules"]
    process = start_process(
        [*command, "--processes", "2", "--log-format", "json"], env=environ, cwd=house.folder
    )
    process.wait_for_line('"event":"job.completed"', timeout_s=30)
    process.terminate()
    assert process.wait(timeout_s=30) == 0
    output = process.output()
    assert "schedule.failed" not in output
    assert '"created":false' not in output, "two of its processes kept the schedules"


def test_help_imports_nothing_of_what_the_commands_do():
    """So that it is there at once."""
    program = "import sys; from jobrunner.cli import cli\ntry: cli.main(['schedules', '-h'])\nexcept SystemExit: pass\n"
    program += "heavy = {'cronsim', 'jobrunner_schedules.book', 'jobrunner.sync_client', 'redis'}\n"
    program += "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("set", "apply", "list", "show", "preview", "pause", "resume", "remove", "fire", "run"):
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE)


def test_help_of_all_commands_has_its_line():
    """Read from its source, a package's too, without importing it."""
    done = subprocess.run([sys.executable, "-m", "jobrunner", "--help"], capture_output=True, text=True)
    assert "  schedules  Enqueue jobs at set times: cron expressions and intervals.\n" in done.stdout
