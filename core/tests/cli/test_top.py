"""`jobrunner top` as people watch it: at a real terminal, in a pipe, as JSON, and while the store is away."""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest
from rich.cells import cell_len
from rich.console import Console

from jobrunner.cli.columns import rows_that_fit
from jobrunner.cli.glyphs import Glyphs, bar, sparkline
from jobrunner.cli.picture import Picture
from jobrunner.errors import StoreUnavailableError
from jobrunner.pulse import Look, pulse
from jobrunner.views import QueueStats, WorkerView

ENTERS, LEAVES = "\x1b[?1049h", "\x1b[?1049l"
"""What turns a terminal to its other screen and back."""


class Terminal:
    """A terminal of so many columns and lines in which a command runs."""

    def __init__(self, desk, *words, columns=100, lines=30, **environ):
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        self.before = termios.tcgetattr(self._ours)
        env = desk.environ | {"TERM": "xterm-256color"} | environ
        for name in ("COLUMNS", "LINES"):
            env.pop(name, None)
        command = [sys.executable, "-m", "jobrunner", *words]
        self.process = subprocess.Popen(
            command,
            env=env,
            cwd=desk.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.text = ""

    def press(self, key):
        os.write(self._ours, key.encode())

    def resize(self, columns, lines):
        termios.tcsetwinsize(self._ours, (lines, columns))
        self.process.send_signal(signal.SIGWINCH)

    def until(self, words, *, since=0, timeout_s=30):
        """Read until some words have come; where they ended."""
        deadline = time.monotonic() + timeout_s
        while words not in self.text[since:]:
            assert time.monotonic() < deadline, self.text[-3000:]
            assert self._read(1.0) is not None, f"it ended without {words!r}:\n{self.text[-3000:]}"
        return self.text.index(words, since) + len(words)

    def end(self, timeout_s=20):
        """Read to the end; the exit status, and whether the terminal is as it was."""
        deadline = time.monotonic() + timeout_s
        while self._read(1.0) is not None:
            assert time.monotonic() < deadline, self.text[-3000:]
        return self.process.wait(timeout_s), termios.tcgetattr(self._ours) == self.before

    def _read(self, wait_s):
        with contextlib.suppress(OSError):  # its other end is closed
            if not select.select([self._ours], [], [], wait_s)[0]:
                return ""
            part = os.read(self._ours, 65536).decode("utf-8", "replace")
            self.text += part
            return part or None
        return None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(desk):
    made = []

    def make(*words, **more):
        made.append(Terminal(desk, *words, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def plain(text):
    """The lines of a screen, without colours and the moves of the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").splitlines()


@pytest.mark.parametrize(
    "key", ["q", pytest.param("\x1b", marks=pytest.mark.long), pytest.param("\x04", marks=pytest.mark.long)]
)
def test_key_ends_it_and_gives_the_terminal_back(desk, terminal, key):
    """Whoever leaves must find the shell as it was: its screen, its echo, its cursor."""
    desk.enqueue()
    shown = terminal("top", "--every", "60")
    shown.until("parcel.deliver")
    shown.until("no worker: start one")
    shown.press("x\x1b[A")  # other keys, an arrow among them, are passed over
    shown.press(key)
    status, is_as_before = shown.end()
    assert (status, is_as_before) == (0, True)
    assert shown.text.index(ENTERS) < shown.text.index("parcel.deliver") < shown.text.index(LEAVES)
    assert shown.text.index("\x1b[?25l") < shown.text.rindex("\x1b[?25h"), "the cursor is back"


@pytest.mark.long
@pytest.mark.parametrize("key", ["\x03", signal.SIGTERM])
def test_ctrl_c_and_a_signal_end_it_in_order(desk, terminal, key):
    """Ctrl-C is how people leave such a view: no error, no traceback, and the terminal is theirs again."""
    shown = terminal("top", "--every", "60")
    shown.until("parcel.deliver")
    if isinstance(key, str):
        os.killpg(shown.process.pid, signal.SIGINT)  # as the terminal would, whose session it leads
    else:
        shown.process.send_signal(key)
    status, is_as_before = shown.end()
    assert (status, is_as_before) == (0, True)
    assert LEAVES in shown.text
    assert "Traceback" not in shown.text


@pytest.mark.long
def test_numbers_follow_what_happens(desk, terminal):
    """It is watched for what changes."""
    shown = terminal("top", "--every", "0.1")
    seen = shown.until("parcel.deliver")
    desk.enqueue()
    shown.until("no worker", since=seen)
    desk.run("pause", "parcel.deliver")
    shown.until("paused", since=seen)
    shown.press("q")
    assert shown.end()[0] == 0


def test_no_line_is_wider_than_the_terminal_whatever_its_width(desk, terminal):
    """A line that wraps tears the whole picture."""
    desk.enqueue()
    shown = terminal("top", "--looks", "1", columns=44, lines=12)
    assert shown.end()[0] == 0
    lines = plain(shown.text)
    assert any("parcel" in line for line in lines)
    assert max(cell_len(line) for line in lines) <= 44
    assert ENTERS not in shown.text, "a picture that ends by itself stays"


@pytest.mark.long
def test_resized_terminal_is_drawn_again_at_once(desk, terminal):
    """Otherwise the picture is torn until the next look."""
    desk.enqueue()
    shown = terminal("top", "--every", "60", columns=44)
    shown.until("no worker: start one")
    assert "failed/s" not in plain(shown.text)[-1]
    before = len(shown.text)
    shown.resize(120, 30)
    shown.until("trend", since=before)
    shown.press("q")
    assert shown.end()[0] == 0


@pytest.mark.long
def test_terminal_that_knows_only_ascii_is_drawn_on_too(desk, terminal):
    """A server's console has no blocks, and an error of the encoding would be all that one sees."""
    desk.enqueue()
    shown = terminal(
        "top", "--looks", "2", "--every", "0.1", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C"
    )
    assert shown.end()[0] == 0
    assert "! no worker" in shown.text
    assert shown.text.isascii()


def test_store_that_goes_away_is_told_waited_for_and_found_again(desk, start_server, terminal):
    """It is watched most while something is wrong."""
    server = start_server()
    desk.environ["REDIS_URL"] = server.url
    desk.enqueue()
    shown = terminal("top", "--every", "0.1")
    shown.until("parcel.deliver")
    server.kill()
    gone = shown.until("no look for")
    assert "parcel.deliver" in shown.text[gone:] or shown.until("parcel.deliver", since=gone), (
        "the last look stays"
    )
    server.restart()
    desk.enqueue(number=2)
    back = shown.until("parcel.deliver", since=len(shown.text))
    while "no look for" in shown.text[back:]:
        back = shown.until("parcel.deliver", since=len(shown.text))
    shown.press("q")
    assert shown.end()[0] == 0


@pytest.mark.long
def test_store_that_hangs_keeps_nobody_from_leaving(desk, start_server, terminal):
    """A command to a frozen store takes seconds to give up; q must not."""
    server = start_server()
    desk.environ["REDIS_URL"] = server.url
    shown = terminal("top", "--every", "0.1")
    shown.until("parcel.deliver")
    server.pause()
    try:
        shown.press("q")
        shown.until(LEAVES)
    finally:
        server.resume()
    assert shown.end()[0] == 0


def test_first_look_that_fails_is_an_error_like_any_other(desk):
    """A wrong address is no outage."""
    done = desk.run("top", REDIS_URL="redis://127.0.0.1:1")
    assert done.status == 3
    assert "cannot be reached" in done.error


def test_json_is_one_object_a_look_with_rates_from_the_second_on(desk):
    """For programs: JSON Lines that can be cut at any line."""
    desk.enqueue()
    done = desk.run("top", "--json", "--looks", "3", "--every", "0.1")
    assert done.status == 0
    first, second, third = [json.loads(line) for line in done.out.splitlines()]
    assert (first["seconds"], first["queues"][0]["completedPerSecond"]) == (None, None)
    assert second["queues"][0]["completedPerSecond"] == 0
    assert first["at"] < second["at"] < third["at"]
    assert third["totals"]["waiting"] == third["queues"][0]["waiting"] == 1


def test_pipe_gets_plain_lines(desk):
    """A line a queue, which grep and awk can take."""
    desk.enqueue()
    done = desk.run("top", "parcel.deliver", "--looks", "1")
    total, queue = done.out.splitlines()
    assert re.fullmatch(r"[\d-]+ [\d:]+ all waiting=1 .* completed/s=- .*", total)
    assert re.fullmatch(r"[\d-]+ [\d:]+ queue parcel.deliver waiting=1 .* paused=no", queue)
    assert "\x1b" not in done.out


@pytest.mark.long
def test_outage_is_told_to_programs_and_by_the_exit_status(desk, start_server):
    """A line that says why, in the stream where the numbers were."""
    server = start_server()
    environ = desk.environ | {"REDIS_URL": server.url}
    words = [sys.executable, "-m", "jobrunner", "top", "--json", "--looks", "3", "--every", "0.5"]
    with subprocess.Popen(words, env=environ, cwd=desk.folder, stdout=subprocess.PIPE, text=True) as process:
        first = json.loads(process.stdout.readline())
        server.kill()
        rest = [json.loads(line) for line in process.stdout]
    assert "totals" in first
    assert "error" in rest[-1]
    assert "cannot be reached" in rest[-1]["error"] or "connection" in rest[-1]["error"]
    assert process.returncode == 3


@pytest.mark.parametrize(
    "words",
    [("--every", "nan"), ("--every", "0"), ("--every", "-1"), ("--every", "1e9"), ("--looks", "0"), ("a b",)],
)
def test_wrong_use_is_told_before_anything_is_shown(desk, words):
    """One line, exit 2."""
    done = desk.run("top", *words)
    assert (done.status, done.out) == (2, "")
    assert done.error


# ---- the picture itself -----------------------------------------------------------------------------------------


def a_queue(name, **more):
    nought = dict.fromkeys(
        ("waiting", "active", "completed", "failed", "total", "delayed", "cancelled", "parked", "workers"), 0
    )
    more = {"completed_total": 0, "failed_total": 0, "oldest_waiting_ms": -1, "paused": False} | more
    return QueueStats(name=name, **(nought | more))


def a_worker(number, **more):
    more = {"version": "1", "started_ms": 0, "seen_ms": 0, "alive": True, "queues": {"q": 4}} | more
    return WorkerView(id=f"host-{number}", host="host", pid=number, **more)


def drawn(queues, workers=(), *, width=100, height=30, error=None):
    picture = Picture("redis://somewhere:6379/0", every_s=2)
    before, now = Look(at=0, queues=queues, workers=[]), Look(at=1000, queues=queues, workers=list(workers))
    picture.take(pulse(before, now))
    if error:
        picture.miss(error)
    console = Console(width=width, height=height, color_system=None, force_terminal=True, record=True)
    with console.capture() as captured:
        console.print(picture)
    return captured.get().splitlines()


def test_many_queues_leave_room_for_workers_and_the_busiest_are_shown():
    """What has something to do must not be below the edge of the screen."""
    queues = [a_queue(f"queue.{number:03}") for number in range(200)]
    queues[150] = a_queue("queue.busy", waiting=9, workers=1)
    lines = drawn(queues, [a_worker(number) for number in range(50)], height=24)
    assert len(lines) <= 24
    text = "\n".join(lines)
    assert "queue.busy" in text
    assert "more with less to do" in text
    assert "host-0" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_every_width_is_kept(width):
    """Names of any length, numbers of any size."""
    huge = {"waiting": 10**9, "completed": 10**12, "failed": 10**9, "held": 10**7, "parked": 10**7}
    queues = [a_queue("a" * 64, **huge, oldest_waiting_ms=10**9), a_queue("\x1b[31mred\n")]
    lines = drawn(queues, [a_worker(1, running=3, abandoned=2, loop_lag_ms=5000)], width=width)
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b[31m" not in "\n".join(lines), "a name from the store is no command to the terminal"


def test_trouble_is_said_and_the_numbers_stay():
    """The last numbers before an outage are the most telling ones."""
    lines = drawn([a_queue("orders", waiting=3)], error=StoreUnavailableError("redis://x cannot be\nreached"))
    assert any("no look for" in line and "cannot be reached" in line for line in lines)
    assert any("orders" in line and "3" in line for line in lines)


def test_states_of_queues_and_workers_have_their_words():
    """Colours alone say nothing to a tenth of all men."""
    queues = [
        a_queue("one", paused=True),
        a_queue("two", waiting=1),
        a_queue("three", active=1, workers=1),
        a_queue("four", parked=7, held=7),
    ]
    text = "\n".join(
        drawn(queues, [a_worker(1), a_worker(2, alive=False), a_worker(3, stopping=True)], width=140)
    )
    for words in ("paused", "no worker", "busy", "held", "alive", "silent", "stopping"):
        assert words in text


@pytest.mark.parametrize(
    ("values", "line"), [([], ""), ([0, 0], "▁▁"), ([0, 0.001, 5, 10], "▁▂▅█"), ([3], "█")]
)
def test_sparkline_is_nought_only_where_nothing_happened(values, line):
    """A little is not nothing."""
    assert sparkline(values, Glyphs.of(ascii_only=False)) == line


def test_bar_is_full_only_when_everything_is_taken():
    """And empty only when nothing is."""
    glyphs = Glyphs.of(ascii_only=True)
    assert bar(1, 1000, 5, glyphs) == ("#", "----")
    assert bar(999, 1000, 5, glyphs) == ("####", "-")
    assert bar(5, 5, 5, glyphs) == ("#####", "")
    assert bar(0, 0, 5, glyphs) == ("", "-----")
    assert bar(9, 5, 5, glyphs) == ("#####", "")


@pytest.mark.parametrize("queues", [0, 1, 7, 300])
@pytest.mark.parametrize("workers", [0, 1, 40])
@pytest.mark.parametrize("height", [-5, 2, 15, 60])
def test_rows_never_exceed_the_room(queues, workers, height):
    """And both are seen where both are there."""
    few, some = rows_that_fit(queues, workers, height)
    assert few + some <= max(2, height)
    assert (few > 0) == (queues > 0)
    assert (some > 0) == (workers > 0)
