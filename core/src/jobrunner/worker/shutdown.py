"""Signals, and what each asks of a worker.

SIGTERM, SIGHUP and SIGINT stop it in order, however often they come; a second SIGINT at a terminal, or SIGQUIT, does not
wait for jobs; SIGUSR1 stops reserving and leaves the rest running.
"""

from __future__ import annotations

import asyncio
import signal
import sys


class Shutdown:
    """What has been asked for so far."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Stop: give back, let finish, end."""
        self.hurry = asyncio.Event()
        """Do not wait for what runs."""
        self.quiet = asyncio.Event()
        """Stop reserving."""
        self.listens = False
        """Whether signals come here."""
        self.reason = ""
        self.exit_status = 0

    def ask(self, reason: str, exit_status: int = 0) -> None:
        """Ask for a stop; the first reason stands."""
        if not self.asked.is_set():
            self.reason, self.exit_status = reason, exit_status
            self.asked.set()

    def listen(self) -> None:
        """Take the process's signals; called on the main thread's loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ask, "SIGTERM")
        loop.add_signal_handler(signal.SIGHUP, self.ask, "SIGHUP")  # the terminal was closed
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGQUIT, self._quit)
        loop.add_signal_handler(signal.SIGUSR1, self.quiet.set)
        self.listens = True

    def ignore(self) -> None:
        """Give the signals back to the system."""
        self.listens = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        if self.asked.is_set() and sys.stdin is not None and sys.stdin.isatty():
            self.hurry.set()
        self.ask("SIGINT")

    def _quit(self) -> None:
        self.ask("SIGQUIT")
        self.hurry.set()
