"""Several workers under one supervisor: it starts them, replaces one that dies, and passes signals on.

It takes no jobs and never talks to the store. When it is killed itself, the kernel ends its workers with SIGTERM
where it can (Linux), and each of them gives its jobs back.
"""

from __future__ import annotations

import contextlib
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
from jobrunner.worker.childhood import PASSED_ON, beginning, own_arguments, signals_held
from jobrunner.worker.word import Word

YOUNG_S = 5.0
"""Seconds within which a worker that ends is started again more slowly each time."""

WRONG_USE, NO_STORE = 2, 3
MISTAKES = (WRONG_USE, NO_STORE)
"""Exit statuses that a restart would only repeat: wrong usage, and a store that may not be used."""

LOOK_S = 0.1
EXTRA_S = 10.0
"""Seconds beyond the grace after which a worker that does not end is killed."""


class Supervisor:
    """Runs workers.

    Args:
        processes: How many.
        settings: For its own log lines.
        grace: Seconds that workers get at a stop.
        burst: Whether a worker that ends by itself is done, whatever its exit status.
    """

    def __init__(self, processes: int, *, settings: Settings, grace: float, burst: bool = False) -> None:
        self._processes = processes
        self._grace = grace
        self._burst = burst
        self._observers = Observers([("jobrunner", Logs(settings).observer())], SystemClock())
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._begun: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._due: dict[int, float] = {}
        """Worker that died -> when it is started again, by the monotonic clock."""
        self._statuses: list[int] = []
        self._stopping_since: float | None = None
        self._quiet = False
        """Whether the workers take no more jobs; one that dies is then not replaced."""
        self._word = Word()
        """Taken by the worker that tells the mistake which all of them share."""

    def run(self) -> int:
        """Run until every worker has ended in order; 0, or the status that the worst of them asks for."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        self._due = dict.fromkeys(range(self._processes), 0.0)
        while self._workers or self._due:
            self._start_due()
            time.sleep(LOOK_S)
            self._reap_orphans()
            for index, worker in list(self._workers.items()):
                status = worker.poll()
                if status is not None:
                    self._ended(index, status)
            self._kill_late()
        self._word.close()
        return self._exit_status()

    def _exit_status(self) -> int:
        """A mistake that all workers share stands before anything else; one that was told to stop before it could
        listen has ended in order.
        """
        mistakes = [status for status in self._statuses if status in MISTAKES]
        wrong = [status for status in self._statuses if status and not {-status, status - 128} & {*PASSED_ON}]
        return mistakes[0] if mistakes else min(1, len(wrong))

    def _start_due(self) -> None:
        """Start what is due, unless there is a signal not to: none comes between a start and its being known."""
        for index, due in list(self._due.items()):
            with signals_held() as before:
                if self._is_ending:
                    self._due.clear()
                    return
                if time.monotonic() >= due:
                    del self._due[index]
                    self._start(index, before)

    def _start(self, index: int, mask: set[signal.Signals]) -> None:
        environ = os.environ | {"JOBRUNNER_WORKER_INDEX": str(index)} | self._word.environ
        # -P, as the installed script has it: a `queue.py` in this folder must not stand in for Python's own.
        command = [
            sys.executable,
            "-P",
            "-m",
            "jobrunner",
            *own_arguments(sys.argv[1:], "--processes", has_value=True),
        ]
        # A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which passes it on once.
        self._workers[index] = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environ,
            pass_fds=(self._word.reads,),
            start_new_session=True,
            preexec_fn=beginning(mask),  # noqa: PLW1509 - the supervisor has one thread
        )
        self._begun[index] = time.monotonic()

    def _ended(self, index: int, status: int) -> None:
        del self._workers[index]
        is_mistake = self._is_mistake(index, status)
        if self._is_ending or status == 0 or is_mistake or (self._burst and status > 0):
            self._statuses.append(status)
            if is_mistake and self._stopping_since is None:
                self._pass_on(signal.SIGTERM, None)
            return
        self._word.give()  # the next one that ends may have another story
        young = time.monotonic() - self._begun[index] < YOUNG_S
        self._failures[index] = self._failures.get(index, 0) + 1 if young else 0
        delay = reconnect_delay(self._failures[index])
        self._due[index] = time.monotonic() + delay
        self._observers.tell(
            WorkerRestarted(
                timestamp=self._observers.now(), index=index, exit_status=status, delay_ms=int(delay * 1000)
            )
        )

    @property
    def _is_ending(self) -> bool:
        return self._quiet or self._stopping_since is not None

    def _is_mistake(self, index: int, status: int) -> bool:
        """Whether a restart would only repeat it. Where a worker lived before, its store is away, and will be back."""
        return status in MISTAKES and not (status == NO_STORE and index in self._failures)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._quiet = True
        elif self._stopping_since is None:
            self._stopping_since = time.monotonic()
        for worker in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                worker.send_signal(number)

    def _kill_late(self) -> None:
        """Kill workers that did not end long after they were told to."""
        since = self._stopping_since
        if since is not None and time.monotonic() - since > self._grace + EXTRA_S:
            for worker in self._workers.values():
                worker.kill()

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
