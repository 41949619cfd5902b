"""Several workers under one supervisor: it starts them, replaces one that dies, and passes signals on.

It takes no jobs and never talks to the store. When it is killed itself, the kernel ends its workers with SIGTERM
where it can (Linux), and each of them gives its jobs back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from types import FrameType

from jobrunner.backoff import reconnect_delay
from jobrunner.clock import SystemClock
from jobrunner.events import WorkerRestarted
from jobrunner.logs import Logs
from jobrunner.observers import Observers
from jobrunner.settings import Settings

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)

YOUNG_S = 5.0
"""Seconds within which a worker that ends is started again more slowly each time."""

MISTAKES = (2, 3)
"""Exit statuses that a restart would only repeat: wrong usage, and a store that may not be used."""

LOOK_S = 0.1
EXTRA_S = 10.0
"""Seconds beyond the grace after which a worker that does not end is killed."""

PR_SET_PDEATHSIG = 1


class Supervisor:
    """Runs workers.

    Args:
        processes: How many.
        settings: For its own log lines.
        grace: Seconds that workers get at a stop.
    """

    def __init__(self, processes: int, *, settings: Settings, grace: float) -> None:
        self._processes = processes
        self._grace = grace
        self._observers = Observers([("jobrunner", Logs(settings).observer())], SystemClock())
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._begun: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._statuses: list[int] = []
        self._stopping_since: float | None = None

    def run(self) -> int:
        """Run until every worker has ended in order; the highest of their exit statuses."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        for index in range(self._processes):
            self._start(index)
        while self._workers:
            time.sleep(LOOK_S)
            self._reap_orphans()
            for index, worker in list(self._workers.items()):
                status = worker.poll()
                if status is not None:
                    self._ended(index, status)
            if (
                self._stopping_since is not None
                and time.monotonic() - self._stopping_since > self._grace + EXTRA_S
            ):
                for worker in self._workers.values():
                    worker.kill()
        return self._exit_status()

    def _exit_status(self) -> int:
        """A mistake that all workers share stands before anything else; one that was told to stop before it could
        listen has ended in order.
        """
        mistakes = [status for status in self._statuses if status in MISTAKES]
        others = [abs(status) for status in self._statuses if status not in (-signal.SIGTERM, -signal.SIGINT)]
        return mistakes[0] if mistakes else max(others, default=0)

    def _start(self, index: int) -> None:
        environ = os.environ | {"JOBRUNNER_WORKER_INDEX": str(index)}
        command = [sys.executable, "-m", "jobrunner", *_own_arguments(sys.argv[1:])]
        # A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which passes it on once.
        self._workers[index] = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environ,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
        )
        self._begun[index] = time.monotonic()

    def _ended(self, index: int, status: int) -> None:
        del self._workers[index]
        if self._stopping_since is not None or status == 0 or status in MISTAKES:
            self._statuses.append(status)
            if status in MISTAKES and self._stopping_since is None:
                self._pass_on(signal.SIGTERM, None)
            return
        young = time.monotonic() - self._begun[index] < YOUNG_S
        self._failures[index] = self._failures.get(index, 0) + 1 if young else 0
        delay = reconnect_delay(self._failures[index])
        self._observers.tell(
            WorkerRestarted(
                timestamp=self._observers.now(), index=index, exit_status=status, delay_ms=int(delay * 1000)
            )
        )
        time.sleep(delay)
        if self._stopping_since is None:
            self._start(index)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGUSR1 and self._stopping_since is None:
            self._stopping_since = time.monotonic()
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    def _reap_orphans(self) -> None:
        """As PID 1 of a container, take what nobody else waits for."""
        if os.getpid() != 1:
            return
        ours = {worker.pid for worker in self._workers.values()}
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid in ours:
                    return
                os.waitpid(found.si_pid, 0)


def _own_arguments(arguments: list[str]) -> list[str]:
    """The command line without `--processes`, for a worker."""
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == "--processes":
            skip = True
        elif not argument.startswith("--processes="):
            kept.append(argument)
    return kept


def _die_with_parent() -> None:
    """Ask the kernel to send SIGTERM when the supervisor dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
