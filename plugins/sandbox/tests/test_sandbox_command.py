"""`jobrunner sandbox` as a real process: the variables that it gives, the command that it runs, what it refuses."""

import os
import pty
import socket
import subprocess
import sys
import textwrap

import pytest

from jobrunner_sandbox.cli import around_proxy

WEB_NAMES = {
    "JOBRUNNER_ANALYTICS_GRAPH_URL",
    "JOBRUNNER_ANALYTICS_LINKEDIN_URL",
    "JOBRUNNER_ANALYTICS_MASTODON_URL",
    "JOBRUNNER_ANALYTICS_X_URL",
    "JOBRUNNER_CONTENT_OPENAI_URL",
    "JOBRUNNER_IMAGE_OPENAI_URL",
    "JOBRUNNER_PUBLISH_GRAPH_URL",
    "JOBRUNNER_PUBLISH_LINKEDIN_URL",
    "JOBRUNNER_PUBLISH_MASTODON_URL",
    "JOBRUNNER_PUBLISH_MEDIA_GATEWAY",
    "JOBRUNNER_PUBLISH_X_URL",
    "JOBRUNNER_WHATSAPP_GRAPH_URL",
}
NAMES = WEB_NAMES | {"JOBRUNNER_APPROVAL_SMTP_URL"}


def test_sandbox_runs_a_command_with_every_service_in_its_environment(commands):
    """`jobrunner sandbox -- COMMAND` is how a worker is tried without accounts."""
    show = "import os; print(*(f'{n}={v}' for n, v in os.environ.items() if n.startswith('JOBRUNNER_')))"
    done = commands.run("sandbox", "--", sys.executable, "-c", show)

    assert done.returncode == 0, done.stderr
    given = dict(pair.split("=", 1) for pair in done.stdout.split())
    assert given.keys() == NAMES
    assert given.pop("JOBRUNNER_APPROVAL_SMTP_URL").startswith("smtp://127.0.0.1:")
    assert given.keys() == WEB_NAMES
    assert all(value.startswith("http://127.0.0.1:") for value in given.values())


@pytest.mark.parametrize(
    ("ending", "status"),
    [("raise SystemExit(7)", 7), ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_sandbox_ends_as_its_command_does(commands, ending, status):
    """A pipeline step is judged by it."""
    assert commands.run("sandbox", "--", sys.executable, "-c", ending).returncode == status


def test_sandbox_prints_variables_until_it_is_stopped(commands):
    """For a shell in another window."""
    with commands.start("sandbox") as process:
        missing = set(NAMES)
        while missing and (line := process.stdout.readline()):
            missing.discard(line.partition("=")[0])
        process.terminate()
        process.communicate(timeout=20)

    assert process.returncode == 0
    assert missing == set()


def test_ctrl_c_at_a_terminal_reaches_the_command_once(commands):
    """The terminal tells everybody in it; told twice, a worker would not wait for its jobs."""
    # Five times with a pause, since two signals that come at once can count as one.
    counting = textwrap.dedent("""
        import signal, time
        seen = []
        signal.signal(signal.SIGINT, lambda *_: seen.append(1))
        for number in range(5):
            before = len(seen)
            print("ready", flush=True)
            while len(seen) == before:
                time.sleep(0.01)
            time.sleep(0.2)
        raise SystemExit(len(seen))
    """)
    ours, theirs = pty.openpty()
    # A process of its own becomes the terminal's leader: what it runs is in the foreground there.
    leader = textwrap.dedent("""
        import fcntl, os, subprocess, sys, termios
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        import signal
        signal.signal(signal.SIGINT, lambda *_: None)
        raise SystemExit(subprocess.call(sys.argv[1:]))
    """)
    command = [sys.executable, "-m", "jobrunner", "sandbox", "--", sys.executable, "-c", counting]
    with subprocess.Popen(
        [sys.executable, "-c", leader, *command],
        env=commands.environ(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        for _ in range(5):
            shown = b""
            while b"ready" not in shown:
                shown += os.read(ours, 65_536)
            os.write(ours, b"\x03")
        status = process.wait(20)
    os.close(ours)
    assert status == 5


def test_service_that_the_sandbox_does_not_have_is_one_line(commands):
    """Else the command would talk to the real one."""
    plugin = commands.folder / "shop.py"
    plugin.write_text(
        textwrap.dedent("""
            from typing import Annotated
            import msgspec
            from jobrunner import Service, hookimpl

            class Shop(msgspec.Struct, frozen=True):
                pay_url: Annotated[str, Service("pay")] = "https://pay.example.com"

            @hookimpl
            def jobrunner_settings():
                return Shop
        """)
    )
    done = commands.run("sandbox", "--", "true", JOBRUNNER_PLUGINS=str(plugin))

    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: JOBRUNNER_SHOP_PAY_URL names the service 'pay', and the sandbox stands"
    )
    assert done.stderr.count("\n") == 1


def test_plugin_that_cannot_be_used_is_named(commands):
    """Its services are not served, and that must not go unseen."""
    done = commands.run("sandbox", "--", "true", JOBRUNNER_PUBLISH_TIMEOUT="soon")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0].startswith("left out: JOBRUNNER_PUBLISH_TIMEOUT: ")


def test_port_that_is_taken_is_one_line(commands):
    """Two sandboxes on one port are a common mistake."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = commands.run("sandbox", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be had (")
    assert done.stderr.count("\n") == 1


def test_command_that_is_not_there_is_one_line(commands):
    """With what the system says."""
    done = commands.run("sandbox", "--", "no-such-command")
    assert (done.returncode, done.stderr) == (1, "error: no-such-command: No such file or directory\n")


@pytest.mark.parametrize(
    ("environ", "exempt"),
    [
        ({}, None),
        ({"no_proxy": "corp"}, None),
        ({"http_proxy": "http://p"}, "127.0.0.1"),
        ({"HTTP_PROXY": "http://p", "NO_PROXY": "corp"}, "corp,127.0.0.1"),
        ({"ALL_PROXY": "http://p", "no_proxy": "corp"}, "corp,127.0.0.1"),
    ],
)
def test_stand_ins_are_not_asked_for_through_a_proxy(environ, exempt):
    """A proxy cannot reach this machine's loopback."""
    assert around_proxy(environ) == ({"NO_PROXY": exempt, "no_proxy": exempt} if exempt else {})
