"""The embedded store: one Valkey server for all processes that use a folder, started and stopped by them.

Three lock files say all there is to know, and the kernel keeps them true through any crash:

- `users.lock`, shared, is held by each user of the folder for as long as it uses it;
- `gate.lock`, alone, is held by whoever is just starting or stopping, so that one at a time decides;
- `server.lock`, alone, is held by the server itself (it inherits it), so that a server is alive exactly as long as
  this lock is held. So a stale socket or process id is known for what it is, and no process is ever ended by a
  number that another program may have by now.

The server is detached: it outlives the process that started it. Who comes to a folder whose server lives, uses it;
who leaves last, shuts it down. A server whose users were all killed goes on, and the next user takes it over.

It never removes a lock file, and never speaks to a server that is not the folder's.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from jobrunner.errors import StoreError, StoreRefusedError, StoreUnavailableError
from jobrunner.store.filelock import FileLock
from jobrunner.store.valkey import LOG, Talk, find_program, last_log_line, launch

_MAX_SOCKET_PATH = 100
"""Bytes of a Unix socket's path; macOS takes 103, Linux 107."""

_ANSWER_S = 1.0
"""Seconds for one answer of a server that may be busy starting."""

_PAUSE_S = 0.005
"""Seconds between two looks at a server that is starting; it takes about 20 ms."""

_SOCKET, _SOCKET_NOTE, _PID = "valkey.sock", "valkey.socket", "valkey.pid"


class EmbeddedServer:
    """A claim on the folder's server: while it is held, the server is not stopped by those who leave.

    Made by `acquire`. It belongs to the process that made it: a forked child has no claim of its own, and its
    `release` gives up nothing of its parent's. Safe to use from any thread.

    Attributes:
        folder: The folder, absolute.
        socket_path: The server's Unix socket, absolute and short enough to connect to.
        pid: The server's process id when it was acquired, for people to look at.
    """

    def __init__(self, *, folder: Path, socket_path: str, pid: int, claim: _Claim) -> None:
        self.folder = folder
        self.socket_path = socket_path
        self.pid = pid
        self._claim: _Claim | None = claim
        self._owner = os.getpid()
        self._mutex = threading.Lock()
        # A program that ends without `release` must not leave a server behind it for good.
        atexit.register(self._release_at_exit)

    @classmethod
    def acquire(cls, folder: Path, *, timeout: float = 10.0) -> EmbeddedServer:
        """Use the folder's server; it is started if none is alive.

        Blocks until the server is ready. What an earlier server had acknowledged is there again, whichever of its
        users were killed. Two things can take the last second or two: a crash of the whole machine, and a kill of
        the server itself while a slow disk keeps it waiting.

        Args:
            folder: Its data; made if it is not there, with mode 0700. A relative one is taken from the current
                folder. It must not hold other things that others may read.
            timeout: Seconds, above 0, for all of it.

        Returns:
            The claim, to be released.

        Raises:
            StoreRefusedError: There is no server for this platform, it does not start, or the folder cannot be used.
            StoreUnavailableError: It is not ready in time; it may be later.
        """
        if sys.platform == "win32":
            raise StoreRefusedError(
                "the embedded store does not run on Windows; set REDIS_URL to a running Redis or Valkey"
            )
        deadline = time.monotonic() + timeout
        program = find_program()
        try:
            folder = folder.absolute()
            _prepare(folder)
            claim = _Claim(folder)
            try:
                socket_path, pid = claim.enter(program, deadline)
            except BaseException as error:
                # A server that only needs more time is left to the next try, which it would not survive else.
                claim.retreat(stop=not isinstance(error, StoreUnavailableError))
                raise
        except OSError as error:
            raise StoreRefusedError(
                f"{folder}: the embedded store cannot use this folder ({error.strerror or error}); "
                "name one that this user can write"
            ) from None
        return cls(folder=folder, socket_path=socket_path, pid=pid, claim=claim)

    def release(self, *, timeout: float = 10.0) -> None:
        """Give the claim up; the last user of the folder shuts the server down and waits until it has ended.

        Does nothing the second time. In a forked child it closes the child's copies only.

        Args:
            timeout: Seconds for the server to end.

        Raises:
            StoreUnavailableError: The server did not end. Nothing is lost: the next user takes it over.
        """
        if os.getpid() != self._owner:
            # Before the mutex: a thread that is not in this child may have held it at the fork.
            claim, self._claim = self._claim, None
            if claim is not None:
                claim.close()
            return
        with self._mutex:
            claim, self._claim = self._claim, None
        if claim is None:
            return
        atexit.unregister(self._release_at_exit)
        try:
            claim.leave(self.socket_path, timeout)
        finally:
            claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _release_at_exit(self) -> None:
        with contextlib.suppress(StoreError):  # nobody is left to tell, and the next user takes it over
            self.release()


class _Claim:
    """The open lock files of one user, and a connection that stays with the server whatever becomes of its path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._talk: Talk | None = None
        self._log_start: int | None = None  # set where this claim started the server
        with contextlib.ExitStack() as opened:
            self._users = _open(opened, folder / "users.lock")
            self._gate = _open(opened, folder / "gate.lock")
            self._life = _open(opened, folder / "server.lock")
            opened.pop_all()

    def enter(self, program: Path, deadline: float) -> tuple[str, int]:
        """Become a user of a server that is ready, the one that lives or a new one: its socket and process id."""
        # Only who stops the server asks for the users' lock alone, and only inside the gate: here it is to be had.
        if not self._gate.wait_exclusive(deadline) or not self._users.try_shared():
            raise StoreUnavailableError(
                f"{self._folder}: another process has been starting or stopping the embedded server all the "
                "time; wait and try again"
            )
        socket_path = _socket_path(self._folder)
        while True:
            if self._life.is_free():
                if self._log_start is not None:
                    raise StoreRefusedError(self._explained("does not start"))
                socket_path = _clean(self._folder)
                self._start(program, socket_path)
            answer, pid = self._reach(socket_path)
            if pid:
                self._gate.unlock()
                return socket_path, pid
            if time.monotonic() >= deadline:
                raise StoreUnavailableError(self._explained(_delay(self._folder, answer)))
            time.sleep(_PAUSE_S)

    def leave(self, socket_path: str, timeout: float) -> None:
        """Stop being a user; the last one stops the server."""
        deadline = time.monotonic() + timeout
        if not self._gate.wait_exclusive(deadline):
            # Somebody is starting or stopping. At worst the server stays, and the next user takes it over.
            self._users.unlock()
            return
        try:
            self._users.unlock()
            if self._users.try_exclusive() and not self._life.is_free():
                self._stop(socket_path, deadline)
        finally:
            self._users.unlock()
            self._gate.unlock()

    def retreat(self, *, stop: bool) -> None:
        """After an `enter` that failed: be no user, and with `stop` leave no server that was started for nothing."""
        with contextlib.suppress(OSError, StoreError):
            if stop and self._log_start is not None and not self._life.is_free():
                self._stop(_socket_path(self._folder), time.monotonic() + _ANSWER_S)
        with contextlib.suppress(OSError):
            self._users.unlock()
            self._gate.unlock()
        self.close()

    def close(self) -> None:
        """Close this process's copies; another copy keeps what it holds."""
        if self._talk is not None:
            self._talk.close()
        for lock in (self._users, self._gate, self._life):
            lock.close()

    def _start(self, program: Path, socket_path: str) -> None:
        """Start the server, and hand it the lock that says it lives."""
        self._life.try_exclusive()  # it was free, and nobody else asks for it outside the gate
        try:
            self._log_start = launch(program, self._folder, socket_path=socket_path, life=self._life)
        finally:
            # Our copy must go, or the lock would outlive the server for as long as we live. An unlock would take
            # it from the server too.
            self._life.close()
            self._life = FileLock(self._life.path)

    def _reach(self, socket_path: str) -> tuple[str, int]:
        """The server's answer to a PING, empty if there is none, and its process id once it is ready, else 0."""
        answer, pid = "", 0
        with contextlib.suppress(OSError):
            talk = Talk(socket_path, timeout=_ANSWER_S)
            try:
                answer = talk.ping()
                if answer == "PONG":
                    pid = talk.process_id()
            finally:
                if pid:
                    self._talk = talk
                else:
                    talk.close()
        return answer, pid

    def _stop(self, socket_path: str, deadline: float) -> None:
        try:
            refused = self._ask_to_stop(socket_path, deadline)
        except TimeoutError:
            refused = "no answer"
        while not self._life.is_free():
            if refused or time.monotonic() >= deadline:
                raise StoreUnavailableError(self._explained(f"did not stop ({refused or 'in time'})"))
            time.sleep(_PAUSE_S)

    def _ask_to_stop(self, socket_path: str, deadline: float) -> str:
        """Send SHUTDOWN; the server's error if it refuses, else an empty text."""
        remaining = max(deadline - time.monotonic(), _PAUSE_S)
        refused = "" if self._talk is None else self._talk.shut_down(remaining)
        if refused:
            return refused
        if self._life.is_free() or self._life.is_replaced():
            return ""  # the path may lead to a server that is not ours
        # Ours is gone and another user has started a new one since: that is the one to stop.
        try:
            talk = Talk(socket_path, timeout=remaining)
        except OSError:
            return ""
        with contextlib.closing(talk):
            return talk.shut_down(remaining)

    def _explained(self, what: str) -> str:
        line = "" if self._log_start is None else last_log_line(self._folder, self._log_start)
        said = f"; it said: {line}" if line else ""
        return f"the embedded server of {self._folder} {what}{said}; see {self._folder / LOG}"


def _open(opened: contextlib.ExitStack, path: Path) -> FileLock:
    lock = FileLock(path)
    opened.callback(lock.close)
    return lock


def _delay(folder: Path, answer: str) -> str:
    if answer.startswith("LOADING"):
        return "is still loading its data; wait and try again"
    pid = ""
    with contextlib.suppress(OSError):
        pid = f" as process {(folder / _PID).read_text().strip()}"
    return f"is alive{pid} and not ready ({answer or 'no answer'}); wait and try again, or end it by hand"


def _prepare(folder: Path) -> None:
    """Make the folder, or see to it that it is ours and closed to others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise StoreRefusedError(
            f"{folder}: the embedded store's folder belongs to user {status.st_uid}, and this is user {os.geteuid()}; "
            "run as its owner, or name another folder"
        )
    if status.st_mode & 0o077:
        if not (folder / "server.lock").exists() and any(folder.iterdir()):
            # To close somebody's home or project to its group would be a surprise.
            raise StoreRefusedError(
                f"{folder}: the embedded store needs a folder of its own; this one has other files, and others may "
                "read it; name a new folder, or make it private with chmod 700"
            )
        folder.chmod(0o700)


def _socket_path(folder: Path) -> str:
    """Where a living server's socket is; a short one was noted, since the starter's TMPDIR may not be ours."""
    inside = folder / _SOCKET
    if len(os.fsencode(inside)) > _MAX_SOCKET_PATH or not inside.exists():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (folder / _SOCKET_NOTE).read_text()
    return str(inside)


def _clean(folder: Path) -> str:
    """Take away what a dead server left, and choose the socket of the next one."""
    for stale in (folder / _SOCKET, folder / _SOCKET_NOTE, folder / _PID):
        stale.unlink(missing_ok=True)
    path = folder / _SOCKET
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        path = _short_path(folder)
        new = folder / f"{_SOCKET_NOTE}.new"
        new.write_text(str(path))
        new.replace(folder / _SOCKET_NOTE)  # whole or not at all, whenever this process is killed
    return str(path)


def _short_path(folder: Path) -> Path:
    shelf = Path(tempfile.gettempdir()) / f"jobrunner-{os.geteuid()}"
    shelf.mkdir(mode=0o700, exist_ok=True)
    status = shelf.lstat()
    if shelf.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise StoreRefusedError(
            f"{shelf}: sockets of long folder names lie here, and it is not this user's alone; "
            "remove it, or name a shorter folder for the embedded store"
        )
    path = shelf / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]}.sock"
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        raise StoreRefusedError(f"{shelf}: too long a name for a socket; set TMPDIR to a shorter one")
    return path
