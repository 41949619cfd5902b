"""The dashboard beside a demo: `jobrunner serve` on the demo's own store, for whoever wants to look on.

It is gone when its block is left. The link it gives is good once.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from jobrunner.errors import JobrunnerError
from jobrunner_sandbox.stage import Stage, start_command, stop_process

DISTRIBUTION = "jobrunner-http"
LOG = "serve.log"

START_S = 60.0
"""Seconds that it may take to listen, on a machine that is busy with a worker's start."""

LOOK_S = 0.05

_LINK = re.compile(r"^open:\s+(\S+)$", re.MULTILINE)


@contextlib.contextmanager
def onlookers(here: Stage, port: int) -> Iterator[str]:
    """Serve the dashboard of a stage's store.

    Args:
        here: The stage.
        port: Where it listens on this machine; 0 is any free one.

    Returns:
        The link that logs a browser in.

    Raises:
        JobrunnerError: It did not come up; the text has what it said last.
    """
    words = ["serve", "--dev", "--port", str(port)]
    for plugin in here.parts.plugins:
        words += ["--plugin", plugin]
    log = here.folder / LOG
    process = start_command(here.environ, here.folder, *words, log=log)
    try:
        until = time.monotonic() + START_S
        while not (link := _link(log)):
            if process.poll() is not None or time.monotonic() > until:
                raise JobrunnerError(f"the dashboard did not come up: {_last(log)}")
            time.sleep(LOOK_S)
        yield link
    finally:
        stop_process(process)


def _link(log: Path) -> str:
    found = _LINK.search(log.read_text("utf-8", "replace"))
    return found.group(1) if found else ""


def _last(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
