"""`jobrunner run --reload`: a worker that is stopped in order and started anew when a file of its plugins changes.

For development. It looks at the times and sizes of files, imports no plugin, and needs no help of the system, so it
works on shared folders too. What a handler has begun gets its grace at each stop, and what does not end goes back.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import click

from jobrunner.discovery import find, installed
from jobrunner.worker.childhood import PASSED_ON, beginning, own_arguments, signals_held

LOOK_S = 0.25
"""Seconds between two looks: a person who saves a file does not notice it, and a core does not either."""

EXTRA_S = 10.0
"""Seconds beyond the grace after which a worker that does not end is killed."""

MAX_FILES = 20_000
"""Files that are watched at the most; a package of more is no plugin that somebody writes."""

Snapshot = dict[str, tuple[int, int]]
"""File -> when it was changed, in ns, and its size."""


class Reloader:
    """Keeps one worker, or one supervisor of several, and starts it anew after each change.

    Args:
        plugin_names: The plugins as they were asked for; None for all that are installed.
        grace: Seconds that a worker gets at a stop.

    Raises:
        PluginError: A plugin that was named cannot be found.
    """

    def __init__(self, plugin_names: Sequence[str] | None, *, grace: float) -> None:
        self._roots = watched_roots(plugin_names)
        self._grace = grace
        self._worker: subprocess.Popen[bytes] | None = None
        self._told = False
        """Whether somebody told us to end; the worker was told, too."""

    def run(self) -> int:
        """Run until told to end, or until a worker ends in order by itself; the worker's exit status."""
        for number in PASSED_ON:
            signal.signal(number, self._pass_on)
        seen = snapshot(self._roots)
        click.echo(f"watching {len(seen):,} files of {len(self._roots)} plugins for changes", err=True)
        self._start()
        status = 0
        while True:
            time.sleep(LOOK_S)
            worker = self._worker
            if worker is not None and (ended := worker.poll()) is not None:
                status, self._worker = ended, None
                if self._told or status == 0:
                    return max(0, status)
                click.echo(f"the worker ended with status {status}; waiting for a change", err=True)
            if self._told and self._worker is None:  # between a mistake and its mending
                return 0
            now = snapshot(self._roots)
            if now == seen or self._told:
                continue
            now = self._settled(now)
            click.echo(f"changed: {_listed(changes(seen, now))}; starting anew", err=True)
            seen = now
            self._stop()
            if not self._told:
                self._start()

    def _settled(self, now: Snapshot) -> Snapshot:
        """Wait until nothing changes any more: an editor, or a checkout, writes more than one file."""
        while True:
            time.sleep(LOOK_S)
            later = snapshot(self._roots)
            if later == now:
                return now
            now = later

    def _start(self) -> None:
        command = [
            *(sys.executable, "-P", "-m", "jobrunner"),
            *own_arguments(sys.argv[1:], "--reload", has_value=False),
        ]
        with signals_held() as mask:
            if self._told:
                return
            # A session of its own: Ctrl-C at the terminal reaches this process alone, which passes it on once.
            self._worker = subprocess.Popen(  # noqa: S603 - our own command
                command,
                start_new_session=True,
                preexec_fn=beginning(mask),  # noqa: PLW1509 - this process has one thread
            )

    def _stop(self) -> None:
        """Stop the worker in order, and wait until it has ended."""
        worker = self._worker
        if worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            worker.terminate()
        try:
            worker.wait(self._grace + EXTRA_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        self._worker = None

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGUSR1:
            self._told = True
        if self._worker is not None:
            with contextlib.suppress(ProcessLookupError):
                self._worker.send_signal(number)


def watched_roots(plugin_names: Sequence[str] | None) -> list[Path]:
    """The folder of each plugin's code: its whole package, or for a file or a lone module the one that it is in.

    Raises:
        PluginError: A plugin that was named cannot be found.
    """
    found = installed() if plugin_names is None else [find(name) for name in plugin_names]
    roots: dict[Path, None] = {}
    for one in found:
        if one.target.endswith(".py"):
            roots[Path(one.target).parent] = None
            continue
        # The top of the package: to look for what is below it would import it.
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(one.target.partition(":")[0].partition(".")[0])
            if spec is not None and spec.submodule_search_locations:
                roots |= dict.fromkeys(Path(place) for place in spec.submodule_search_locations)
            elif spec is not None and spec.origin:
                roots[Path(spec.origin).parent] = None
    return list(roots)


def snapshot(roots: Iterable[Path]) -> Snapshot:
    """The Python files below some folders as they are now. Hidden folders and those of caches are left out."""
    taken: Snapshot = {}
    for root in roots:
        for path in _python_files(root):
            with contextlib.suppress(OSError):  # it was removed in this moment
                about = os.stat(path)  # noqa: PTH116 - thousands of them four times a second; a Path each would be felt
                taken[path] = (about.st_mtime_ns, about.st_size)
            if len(taken) >= MAX_FILES:
                return taken
    return taken


def changes(before: Snapshot, after: Snapshot) -> list[str]:
    """The files that are new, gone or different, in the order of their names."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _python_files(root: Path) -> Iterator[str]:
    for folder, inner, files in os.walk(root):
        inner[:] = [
            name for name in inner if not name.startswith((".", "__pycache__", "node_modules", "venv"))
        ]
        for name in files:
            if name.endswith(".py") and not name.startswith("."):
                yield f"{folder}{os.sep}{name}"


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(os.path.relpath(path) for path in paths[:3])
    return shown + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
