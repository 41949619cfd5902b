"""What the demo runs on: an embedded Valkey in a temporary folder, the stand-ins, and a worker process.

All of it is gone when the stage is left, however that comes about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jobrunner.errors import JobrunnerError
from jobrunner.plugins import load
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cli import needed_services, variables
from jobrunner_sandbox.server import SandboxServer

QUEUE = "publish.dispatch"

STOP_S = 20.0


class Stage:
    """A stage that is set.

    Attributes:
        environ: The environment of whoever plays on it.
        server: The stand-ins.
        worker: The worker's process.
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
            last = self.log.read_text("utf-8", "replace").strip().splitlines()[-1:] or ["nothing"]
            raise JobrunnerError(f"the worker ended with status {status}; it said last: {last[0]}")


@contextlib.contextmanager
def stage(behaviour: Behaviour, *, processes: int) -> Iterator[Stage]:
    """Set the stage, and strike it.

    Raises:
        JobrunnerError: The publish plugin is not installed, or the embedded server cannot be had.
    """
    if not any(QUEUE in plugin.queues for plugin in load(None, os.environ, strict=False)):
        raise JobrunnerError("the demo publishes posts: `pip install jobrunner-publish` first")
    with contextlib.ExitStack() as struck:
        folder = Path(
            struck.enter_context(
                tempfile.TemporaryDirectory(prefix="jobrunner-demo-", ignore_cleanup_errors=True)
            )
        )
        server = struck.enter_context(SandboxServer.in_thread(behaviour))
        environ = {
            **os.environ,
            "REDIS_URL": f"embedded://{folder / 'store'}",
            "JOBRUNNER_PUBLISH_POLL_INTERVAL": "0.2",
            "PUBLISH_WORKER_CONCURRENCY": "6",
            **variables(server.services(), needed_services()),
        }
        log = folder / "worker.log"
        command = [sys.executable, "-m", "jobrunner", "run", "--plugin", "publish", "--log-format", "json"]
        command += ["--processes", str(processes)] if processes > 1 else []
        with log.open("wb") as output:
            # A session of its own: Ctrl-C reaches the demo alone, which then stops the worker in order.
            worker = subprocess.Popen(  # noqa: S603 - our own command
                command, env=environ, stdout=output, stderr=output, start_new_session=True
            )
        struck.callback(_stop, worker)
        yield Stage(environ, server, worker, log)


def _stop(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_S)
    if worker.poll() is None:
        worker.kill()
        worker.wait()
