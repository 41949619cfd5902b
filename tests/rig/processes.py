"""Run a command as a real process, wait for what it prints, signal it, and leave nothing of it behind.

Signals go to the process that was started here, or to its own process group, and to nothing else: the process
id is not reaped before `close`, so the system cannot give it to a stranger in the meantime.
"""

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

CLOSE_TIMEOUT_S = 10.0
TAIL_BYTES = 4096  # what an error message quotes of the output


class ProcessError(Exception):
    """A process ended, or stayed silent, where a test waited for something else."""


class Process:
    """One running command, the leader of a process group of its own.

    Standard output and standard error go to one file, in the order in which they were written. Every method
    may be called from any thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start the command.

        Args:
            command: the program and its arguments; no shell is involved.
            log: the file that the output is appended to.
            env: variables on top of this process's own.
            cwd: the working folder, this process's own if None.
        """
        self.command = [os.fspath(part) for part in command]
        self.log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._grown = threading.Condition()
        self._output_ended = False
        self._exited = threading.Event()
        self._exit_code: int | None = None
        self._popen = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._popen.pid
        self._threads = [
            threading.Thread(target=work, name=f"{work.__name__}-{self.pid}", daemon=True)
            for work in (self._copy_output, self._await_exit)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Process({self.pid}, {' '.join(self.command)!r})"

    def _copy_output(self) -> None:
        pipe = self._popen.stdout
        assert pipe is not None
        with pipe, self.log.open("ab", buffering=0) as log:
            while chunk := os.read(pipe.fileno(), 65536):
                log.write(chunk)
                with self._grown:
                    self._grown.notify_all()
        with self._grown:
            self._output_ended = True
            self._grown.notify_all()

    def _await_exit(self) -> None:
        if hasattr(os, "waitid"):
            # WNOWAIT leaves the process unreaped, so its id stays taken until close().
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            assert ended is not None
            self._exit_code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        else:  # macOS before Python 3.13
            self._exit_code = self._popen.wait()
        self._exited.set()

    @property
    def alive(self) -> bool:
        """Whether the process has not ended; a frozen one is alive."""
        return not self._exited.is_set()

    def output(self) -> str:
        """Return all that the process wrote so far."""
        return self._read_from(self._log_start).decode(errors="replace")

    def _read_from(self, offset: int) -> bytes:
        if not self.log.exists():
            return b""
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read()

    def wait_for_line(self, pattern: str, *, timeout_s: float = 20.0) -> str:
        """Wait for a whole line of output that the pattern is found in.

        Lines from before the call count too. The wait ends with the output, not by looking again and again.

        Args:
            pattern: a regular expression, searched anywhere in the line.
            timeout_s: the longest wait in seconds.

        Returns:
            The line without its end.

        Raises:
            ProcessError: the output ended, or the time ran out, before such a line.
        """
        deadline = time.monotonic() + timeout_s
        offset, rest = self._log_start, b""
        while True:
            with self._grown:
                ended = self._output_ended
                chunk = self._read_from(offset)
                if not chunk and not ended:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0 or not self._grown.wait(left_s):
                        raise ProcessError(f"no line with {pattern!r} in {timeout_s} s from {self._story()}")
                    continue
            if not chunk:
                raise ProcessError(f"the output ended without a line with {pattern!r}: {self._story()}")
            offset += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace")
                if re.search(pattern, text):
                    return text

    def wait(self, *, timeout_s: float = 20.0) -> int:
        """Wait for the process to end.

        Args:
            timeout_s: the longest wait in seconds.

        Returns:
            The exit status, or the negative number of the signal that ended it.

        Raises:
            ProcessError: it still ran when the time was over; it is left running.
        """
        if not self._exited.wait(timeout_s):
            raise ProcessError(f"still running after {timeout_s} s: {self._story()}")
        assert self._exit_code is not None
        return self._exit_code

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the process, or to its whole group; nothing happens if it has ended.

        Args:
            number: the signal.
            group: whether its children get the signal too, as from a terminal.
        """
        with suppress(ProcessLookupError):
            if group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process by SIGKILL, which it cannot see coming, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """Ask the process to end by SIGTERM; `wait` tells when it has."""
        self.signal(signal.SIGTERM)

    def freeze(self, *, group: bool = False) -> None:
        """Stop the process where it stands (SIGSTOP), as a machine that hangs would; it stands on return."""
        self.signal(signal.SIGSTOP, group=group)
        if hasattr(os, "waitid") and self._popen.returncode is None:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self, *, group: bool = False) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.signal(signal.SIGCONT, group=group)

    def close(self) -> None:
        """End whatever is left of the process and its group, and free all that it held. Idempotent.

        Raises:
            ProcessError: something that it started left its group and still holds its output.
        """
        if self._popen.returncode is None:
            self.signal(signal.SIGKILL, group=True)
            self._exited.wait()
        self._popen.wait()
        for thread in self._threads:
            thread.join(CLOSE_TIMEOUT_S)
            if thread.is_alive():
                raise ProcessError(f"something that it started outlives it: {self._story()}")

    def _story(self) -> str:
        state = "alive" if self.alive else f"exit status {self._exit_code}"
        tail = self._read_from(self._log_start)[-TAIL_BYTES:].decode(errors="replace")
        return f"{self!r}, {state}; it wrote:\n{tail}"
