"""Wrong use: one line that says what to do, and the right exit status."""

import contextlib
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_store_that_cannot_be_reached_is_status_3_and_offers_the_embedded_one(desk):
    """With nothing configured, a newcomer is told of the server that comes in a wheel."""
    away = desk.run("stats", REDIS_URL="redis://127.0.0.1:1/0")
    nothing = desk.process("run", REDIS_URL=None, REDIS_HOST=None)

    assert away.status == 3
    assert "cannot be reached" in away.error
    assert "--embedded" not in away.error
    assert away.error.endswith("; start it there, or change REDIS_URL")
    if nothing.status == 3:  # unless a server of the machine's own listens on the default port
        assert "--embedded" in nothing.error


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", "http://somewhere"),
        ("JOBRUNNER_GRACE", "soon"),
        ("JOBRUNNER_LOG_LEVEL", "loud"),
        ("JOBRUNNER_PREFIX", "a b"),
        ("QUEUE_CONCURRENCY", "0"),
    ],
)
def test_wrong_variable_is_named(desk, variable, value):
    """Who reads the line must know which of fifty variables it is."""
    done = desk.process("run", "--burst", **{variable: value})

    assert done.status == 2
    assert done.error.startswith(f"{variable}: ") or variable == "JOBRUNNER_PREFIX"


def test_password_of_a_url_is_never_printed(desk):
    """Errors end up in logs and tickets."""
    done = desk.run("stats", REDIS_URL="redis://user:hunter2hunter@127.0.0.1:1/0")
    told = desk.run("doctor", REDIS_URL="redis://user:hunter2hunter@127.0.0.1:1/0")

    assert "hunter2" not in done.out + done.err + told.out + told.err


def test_broken_plugin_does_not_hide_the_others(desk):
    """`plugins list` is where people look when something is broken."""
    (desk.folder / "broken.py").write_text("raise RuntimeError('no good')\n")

    listed = desk.run("plugins", "list", JOBRUNNER_PLUGINS="./parcel.py,./broken.py")
    fatal = desk.process("run", "--burst", "--plugin", "./broken.py")

    assert listed.status == 1
    assert "parcel.deliver" in listed.out
    assert "no good" in listed.err
    assert fatal.status == 2
    assert "plugin broken cannot be imported: RuntimeError: no good" in fatal.error


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def jobrunner_queues():\n    return []\n", "has no @hookimpl"),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queus():\n    return []\n",
            "jobrunner_queus",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues(settings=None):\n    return []\n",
            "default",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues():\n    return [1]\n",
            "Queue objects",
        ),
        (
            "from jobrunner import hookimpl\n@hookimpl\ndef jobrunner_queues():\n    yield 1 / 0\n",
            "ZeroDivisionError",
        ),
        ("x = 1\n", "implements no hook"),
    ],
)
def test_plugin_mistakes_are_named(desk, source, said):
    """A misspelt hook would else be silence."""
    (desk.folder / "mistake.py").write_text(source)

    done = desk.run("plugins", "check", "./mistake.py")

    assert done.status == 1
    assert said in done.err
    assert "plugin mistake" in done.err


def test_env_file_is_read_and_a_bad_line_is_named(desk):
    """The process's own environment wins over the file."""
    (desk.folder / "good.env").write_text(
        "# a comment\nexport JOBRUNNER_LOG_LEVEL='error'\nQUEUE_CONCURRENCY=4\n"
    )
    (desk.folder / "bad.env").write_text("QUEUE_CONCURRENCY=4\nnot a line\n")

    good = desk.process("--env-file", "good.env", "run", "--burst")
    bad = desk.process("--env-file", "bad.env", "run", "--burst")

    assert (good.status, good.out) == (0, "")
    assert bad.status == 2
    assert "bad.env, line 2" in bad.error


def test_help_names_every_command_without_importing_a_store(desk):
    """Help must be quick, and commands of other distributions must be in it."""
    done = desk.process("--help")
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "jobrunner", "--help"],
        env=desk.environ,
        capture_output=True,
        text=True,
        timeout=60,
    ).stderr

    assert done.status == 0
    for name in ("run", "enqueue", "jobs", "doctor", "demo", "sandbox"):
        assert f"\n  {name} " in done.out
    for module in ("redis", "structlog", "starlette", "jobrunner.worker", "jobrunner_sandbox"):
        assert f"| {module}\n" not in loaded, module


def test_plugins_show_and_schema_tell_what_a_producer_needs(desk):
    """A schema is what a producer in another language builds against."""
    shown = desk.run("plugins", "show", "./parcel.py")
    schema = desk.run("plugins", "schema", "parcel.deliver").json
    named = desk.run("plugins", "list", "--json").json

    assert "queue parcel.deliver" in shown.out
    assert "number" in str(schema)
    assert named[0]["queues"][0]["concurrency"] == 3


def test_debug_shows_where_and_keeps_the_exit_status(desk):
    """A script that tells statuses apart must not break when somebody looks closer."""
    away = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    done = desk.process("--debug", "stats", **away)

    assert done.status == 3
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("error: Redis cannot be reached")


def test_number_of_seconds_that_is_none_is_refused(desk):
    """`nan` is neither below a bound nor above it, and no wait for it would ever end."""
    grace = desk.process("run", "--burst", "--grace", "nan")
    delay = desk.run("enqueue", "parcel.deliver", "{}", "--delay", "nan")

    assert (grace.status, delay.status) == (2, 2)
    assert "'nan' is not a number of seconds" in grace.error
    assert "'nan' is not a number of seconds" in delay.error


def test_check_tells_of_every_plugin(desk):
    """One that is broken must not hide what is wrong with the next."""
    (desk.folder / "broken.py").write_text("raise RuntimeError('no good')\n")
    odd = "from jobrunner import hookimpl\nimport parcel\n\n@hookimpl\ndef jobrunner_queues():\n"
    odd += "    return parcel.jobrunner_queues()\n\n@hookimpl\ndef jobrunner_wrap_handler(queue, handler):\n"
    (desk.folder / "odd.py").write_text(odd + "    raise ZeroDivisionError('a wrapper of its own')\n")
    (desk.folder / "other.py").write_text(
        "from jobrunner import hookimpl\n\n@hookimpl\ndef jobrunner_queues():\n    return []\n"
    )

    words = ("plugins", "check", "./broken.py", "./odd.py", "./other.py")
    done, listed = desk.process(*words), desk.process(*words, "--json").json

    assert done.status == 1
    assert "sound  plugin other" in done.out
    assert [line.split()[2] for line in done.err.splitlines()] == ["broken", "odd:"], done.err
    assert "a wrapper of its own" in done.err
    assert {one["name"]: one["sound"] for one in listed} == {
        "other": True,
        "./broken.py": False,
        "odd": False,
    }


@pytest.fixture
def other_distribution(desk):
    """Bring a distribution with two commands, one of which cannot be imported."""
    place = desk.folder / "site"
    facts = place / "acme_ops-1.2.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-ops\nVersion: 1.2\nSummary: Operations.\n"
    )
    (facts / "entry_points.txt").write_text(
        "[jobrunner.commands]\ngreet = acme_ops:greet\nbroken = acme_broken:broken\nnone = acme_ops:NAME\n"
    )
    (place / "acme_ops.py").write_text(
        'import sys\nimport click\n\nprint("acme was imported", file=sys.stderr)\nNAME = "acme"\n\n\n'
        '@click.command()\n@click.argument("name")\ndef greet(name: str) -> int:\n'
        '    """Greet somebody."""\n    click.echo(f"Hello {name}")\n    return 1\n'
    )
    (place / "acme_broken.py").write_text("raise RuntimeError('no good')\n")
    paths = [str(place), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_command_of_another_distribution_is_listed_without_importing_it_and_run(desk, other_distribution):
    """Whoever installs it finds it in the help, and a slow import is paid for by those who call it."""
    listed = desk.process("--help", **other_distribution)
    done = desk.process("greet", "Ada", **other_distribution)

    assert "acme was imported" not in listed.err
    assert "greet " in listed.out
    assert (done.status, done.out) == (1, "Hello Ada\n")


def test_command_of_another_distribution_that_is_broken_is_blamed_by_name(desk, other_distribution):
    """It must not take the others down, and its owner must be known."""
    listed = desk.process("--help", **other_distribution)
    broken = desk.process("broken", **other_distribution)
    none = desk.process("none", **other_distribution)
    unknown = desk.process("brokn", **other_distribution)

    assert listed.status == 0
    assert "broken " in listed.out
    assert (broken.status, none.status, unknown.status) == (1, 1, 2)
    assert "the command broken (acme-ops 1.2) cannot be imported: RuntimeError: no good" in broken.error
    assert "is not a click command" in none.error
    assert "No such command 'brokn'" in unknown.error


@pytest.mark.long
def test_plugin_is_a_module_of_this_folder_and_hides_nothing_that_is_installed(desk):
    """Who tries something has it in a folder; a file there that is named like one of Python's must not matter."""
    (desk.folder / "queue.py").write_text("raise RuntimeError('in the place of another')\n")
    desk.enqueue()

    script = [sys.executable, "-P", "-m", "jobrunner"]  # as the installed script
    words = ["run", "--plugin", "parcel", "--burst", "--processes", "2", "--log-level", "warning"]
    done = subprocess.run(
        [*script, *words], env=desk.environ, cwd=desk.folder, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert desk.stats()["completed"] == 1


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "parcel.deliver", "--tenant", ""),
        ("resume", "parcel.deliver", "--tenant", ""),
        ("limits", "parcel.deliver", "--tenant", "", "--max-active", "0"),
        ("enqueue", "parcel.deliver", '{"tenantId": "t1", "number": 1}', "--tenant", ""),
        ("enqueue", "parcel.deliver", '{"tenantId": "t1", "number": 1}', "--id", ""),
        ("enqueue", "parcel.deliver", '{"tenantId": "t1", "number": 1}', "--unique", ""),
    ],
)
def test_option_whose_variable_was_empty_does_not_mean_everybody(desk, words):
    """`--tenant "$TENANT"` in a script where nobody set TENANT would have stopped the whole queue."""
    done = desk.run(*words)
    assert (done.status, done.out) == (2, "")
    assert "is empty" in done.error
    assert (desk.stats()["paused"], desk.stats()["total"]) == (False, 0)


@pytest.mark.parametrize("words", [(), ("jobs",), ("plugins",)])
def test_command_without_words_shows_its_help_and_no_error(desk, words):
    """It is the first thing that people type."""
    done = desk.run(*words)
    assert done.status == 2
    assert done.err.count("Usage:") == 1
    assert "error" not in done.err.partition("Options:")[0]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("JOBRUNNER_LOG_LEVEL", "loud", "it is one of debug, info, warning, error"),
        ("JOBRUNNER_LOG_FORMAT", "xml", "it is one of auto, json, console, ecs, otel"),
        ("JOBRUNNER_ALLOW_EVICTION", "perhaps", "it is true or false"),
    ],
)
def test_wrong_variable_says_what_it_may_be(desk, variable, value, said):
    """`invalid enum value` sends everybody to the manual."""
    done = desk.run("run", "--burst", **{variable: value})
    assert done.error == f"{variable}: {value!r} cannot be used: {said}"


NEEDY = """
import msgspec
from jobrunner import Job, Queue, hookimpl


class Needs(msgspec.Struct, frozen=True):
    url: str


class Note(msgspec.Struct):
    text: str = ""


async def send(job: Job[Note]) -> None: ...


@hookimpl
def jobrunner_settings():
    return Needs


@hookimpl
def jobrunner_queues():
    return [Queue("needy.send", Note, send)]
"""


def test_worker_tells_a_plugin_that_it_leaves_out(desk):
    """Of all that are installed one cannot be used: the others are served, and nobody takes it for served."""
    info = desk.folder / "site" / "dist_needy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dist-needy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jobrunner]\nneedy = jr_test_needy\n")
    (desk.folder / "site" / "jr_test_needy.py").write_text(NEEDY)
    environ = {"JOBRUNNER_PLUGINS": None, "PYTHONPATH": str(desk.folder / "site")}

    everything = desk.process("run", "--burst", "--log-format", "json", **environ)
    one = desk.process("run", "--burst", "--queue", "needy.send", **environ)

    warning = "warning: the plugin needy is left out: JOBRUNNER_NEEDY_URL: it must be set"
    assert everything.status == 0
    assert warning in everything.err
    assert one.status == 2
    assert warning in one.err


def test_worker_warns_of_a_variable_that_nobody_reads(desk):
    """A default would be used in its place, and nobody would learn why. The worker runs all the same."""
    done = desk.process("run", "--burst", "--plugin", "./parcel.py", JOBRUNNER_PARCEL_MODDE="fast")
    assert done.status == 0
    assert "warning: JOBRUNNER_PARCEL_MODDE is no setting of the plugin parcel" in done.err
    assert "fast" not in done.err


def test_look_at_a_job_of_a_queue_that_nobody_knows_names_the_queue(desk):
    """`There is no such job` would send people to look for what became of it."""
    for command in ("show", "logs", "explain"):
        done = desk.run("jobs", command, "parcel.delivery", "a-1")
        assert done.status == 2
        assert "there is no queue 'parcel.delivery'" in done.error


def test_file_of_variables_that_is_not_there_is_told_once(desk):
    """The path stands in the line once."""
    done = desk.run("--env-file", "nowhere.env", "stats")
    assert done.error == "--env-file: nowhere.env: No such file or directory"


@pytest.mark.parametrize("said", [b"+OK\r\n", b"$-1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*0\r\n"])
def test_worker_at_a_port_that_is_no_redis_says_so_and_ends(desk, said):
    """Else it would wait for jobs for ever, of a server that has none."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor() as pool:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        pool.submit(answer_all, listener, said)
        ran = desk.run("run", "--burst", REDIS_URL=url)
        listener.shutdown(socket.SHUT_RDWR)
    assert ran.status == 3
    assert ran.error.startswith("INFO: ")


def answer_all(listener, said):
    """Say one thing to whatever is asked, until the listener is closed."""
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):
                while peer.recv(65536):
                    peer.sendall(said)
