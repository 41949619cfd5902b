"""How a process that watches over workers begins one: its command line, its signals, its death with its parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator

PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1)
"""Signals that a worker is told of by whoever watches over it."""

PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Let signals wait that are to be passed on, so that none misses a worker that is being started."""
    before = {signal.Signals(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)}
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def own_arguments(arguments: list[str], option: str, *, has_value: bool) -> list[str]:
    """The command line without an option, for a worker.

    Args:
        arguments: What this process was started with.
        option: The option's name, such as `--processes`.
        has_value: Whether the next word, or what follows a `=`, is its value.
    """
    kept: list[str] = []
    skip = False
    for argument in arguments:
        if skip:
            skip = False
        elif argument == option:
            skip = has_value
        elif not argument.startswith(f"{option}="):
            kept.append(argument)
    return kept


def beginning(mask: set[signal.Signals]) -> Callable[[], None]:
    """What a worker does before it becomes one: listen to signals again, and ask the kernel for SIGTERM when the
    process that watches over it dies; it may have died already.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(0)

    return begin
