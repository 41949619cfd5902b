"""What the demo runs on: an embedded Valkey in a temporary folder, the stand-ins, and a worker process.

All of it is gone when the stage is left, however that comes about; the folder stays where it is asked for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from jobrunner.discovery import installed
from jobrunner.errors import JobrunnerError
from jobrunner.plugins import load
from jobrunner.store.embedded import EmbeddedServer
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cli import around_proxy, needed_services, variables
from jobrunner_sandbox.server import SandboxServer

PLUGIN = "publish"
QUEUE = "publish.dispatch"

GRACE_S = 1
"""Seconds that running jobs get when the demo is stopped: nobody waits for its posts then."""

STOP_S = 20.0
"""Seconds after which a worker that does not end is killed: its grace, and what a supervisor adds to that."""

OURS = ("JOBRUNNER_", "REDIS_")
CONCURRENCY = ("PUBLISH_WORKER_CONCURRENCY", "QUEUE_CONCURRENCY")


class Stage:
    """A stage that is set.

    Attributes:
        environ: The environment of whoever plays on it.
        server: The stand-ins.
        worker: The worker's process.
        log: What the worker writes.
    """

    def __init__(
        self, environ: dict[str, str], server: SandboxServer, worker: subprocess.Popen[bytes], log: Path
    ) -> None:
        self.environ = environ
        self.server = server
        self.worker = worker
        self.log = log

    def check(self) -> None:
        """Raise if the worker ended, with what it said last."""
        status = self.worker.poll()
        if status is not None:
            raise JobrunnerError(f"the worker ended with status {status}; it said last: {self.last_line()}")

    def last_line(self) -> str:
        """What the worker said last, at most 300 characters of it."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "nothing"


@contextlib.contextmanager
def stage(behaviour: Behaviour, *, processes: int, keep: Path | None = None) -> Iterator[Stage]:
    """Set the stage, and strike it.

    Args:
        behaviour: How the stand-ins behave.
        processes: Worker processes, at least 1.
        keep: A folder of its own to put everything into and to leave there; None for one that is deleted.

    Raises:
        JobrunnerError: The publish plugin is not installed, or the embedded server cannot be had.
    """
    environ = plain_environment(os.environ)
    if all(found.name != PLUGIN for found in installed()):
        raise JobrunnerError("the demo publishes posts: `pip install jobrunner-publish` first")
    needed = needed_services(load((PLUGIN,), environ))
    with contextlib.ExitStack() as struck:
        folder = keep or Path(tempfile.mkdtemp(prefix="jobrunner-demo-"))
        if keep is None:
            struck.callback(shutil.rmtree, folder, ignore_errors=True)
        # Held by us too, and let go of last: a server does not outlive its folder, even if the worker has to be killed.
        struck.enter_context(EmbeddedServer.acquire(folder / "store"))
        server = struck.enter_context(SandboxServer.in_thread(behaviour))
        environ |= {
            "REDIS_URL": store_url(folder),
            "JOBRUNNER_PUBLISH_POLL_INTERVAL": "0.2",
            "PUBLISH_WORKER_CONCURRENCY": "8",
            **around_proxy(environ),
            **variables(server.services(), needed),
        }
        log = folder / "worker.log"
        worker = _start(environ, log, processes)
        struck.callback(_stop, worker)
        yield Stage(environ, server, worker, log)


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without anybody's settings of jobrunner, so that the demo is the same everywhere."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(OURS) and name not in CONCURRENCY
    }


def store_url(folder: Path) -> str:
    """The address of the embedded store in a stage's folder."""
    return f"embedded://{quote(str(folder / 'store'))}"


def _start(environ: dict[str, str], log: Path, processes: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "jobrunner", "run", "--plugin", PLUGIN, "--log-format", "json"]
    command += ["--grace", str(GRACE_S)]
    command += ["--processes", str(processes)] if processes > 1 else []
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops the worker in order.
        return subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_S)
    if worker.poll() is None:
        worker.kill()
        worker.wait()
