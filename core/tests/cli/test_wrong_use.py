"""Wrong use: one line that says what to do, and the right exit status."""

import pytest


def test_store_that_cannot_be_reached_is_status_3_and_offers_the_embedded_one(desk):
    """With nothing configured, a newcomer is told of the server that comes in a wheel."""
    away = desk.run("stats", REDIS_URL="redis://127.0.0.1:1/0")
    nothing = desk.run("run", REDIS_URL=None, REDIS_HOST=None)

    assert away.status == 3
    assert "cannot be reached" in away.error
    assert "--embedded" not in away.error
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
    done = desk.run("run", "--burst", **{variable: value})

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
    fatal = desk.run("run", "--burst", "--plugin", "./broken.py")

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

    good = desk.run("--env-file", "good.env", "run", "--burst")
    bad = desk.run("--env-file", "bad.env", "run", "--burst")

    assert (good.status, good.out) == (0, "")
    assert bad.status == 2
    assert "bad.env, line 2" in bad.error


def test_help_names_every_command_without_importing_a_store(desk):
    """Help must be quick, and commands of other distributions must be in it."""
    import subprocess
    import sys

    done = desk.run("--help")
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
