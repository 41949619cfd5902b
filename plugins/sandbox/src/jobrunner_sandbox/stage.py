"""What the demo runs on: an embedded Valkey in a temporary folder, the stand-ins, and a worker process.

All of it is gone when the stage is left, however that comes about; the folder stays where it is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from jobrunner.errors import JobrunnerError
from jobrunner.plugins import load
from jobrunner.store.embedded import EmbeddedServer
from jobrunner_sandbox import properties, shelves
from jobrunner_sandbox.behaviour import Behaviour
from jobrunner_sandbox.cast import Company
from jobrunner_sandbox.cli import around_proxy, needed_services, variables
from jobrunner_sandbox.parts import Parts
from jobrunner_sandbox.server import SandboxServer

GRACE_S = 1
"""Seconds that running jobs get when the demo is stopped: nobody waits for its posts then."""

STOP_S = 20.0
"""Seconds after which a worker that does not end is killed: its grace, and what a supervisor adds to that."""

OURS = ("JOBRUNNER_", "REDIS_")
CONCURRENCY = (
    *("PUBLISH_WORKER_CONCURRENCY", "WA_WORKER_CONCURRENCY", "CONTENT_WORKER_CONCURRENCY"),
    "QUEUE_CONCURRENCY",
)
IMPORT_LOOK_S = 0.05

LOG = "worker.log"
MAILS = "mails"
"""The folder that a kept stage's mails are put into."""


class Stage:
    """A stage that is set.

    Attributes:
        environ: The environment of whoever plays on it.
        server: The stand-ins.
        worker: The worker's process.
        folder: Where the plugins leave their files.
        parts: What can be told on it.
        companies: Who is in it.
        log: What the worker writes.
    """

    def __init__(
        self,
        environ: dict[str, str],
        server: SandboxServer,
        worker: subprocess.Popen[bytes],
        *,
        importing: subprocess.Popen[bytes] | None,
        folder: Path,
        parts: Parts,
        companies: tuple[Company, ...],
    ) -> None:
        self.environ = environ
        self.server = server
        self.worker = worker
        self._importing = importing
        self.folder = folder
        self.parts = parts
        self.companies = companies
        self.log = folder / LOG

    def check(self) -> None:
        """Raise if the worker ended, with what it said last."""
        status = self.worker.poll()
        if status is not None:
            raise JobrunnerError(f"the worker ended with status {status}; it said last: {self.last_line()}")

    async def approvers(self) -> None:
        """Wait until the approvers are where the approval plugin looks for them.

        Raises:
            JobrunnerError: They could not be imported.
        """
        while self._importing and self._importing.poll() is None:  # noqa: ASYNC110 - a process has no event
            await asyncio.sleep(IMPORT_LOOK_S)
        if self._importing and self._importing.returncode:
            raise JobrunnerError(f"the approvers cannot be imported: {self.last_line()}")

    def last_line(self) -> str:
        """What the worker said last, at most 300 characters of it."""
        lines = self.log.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "nothing"


@contextlib.contextmanager
def stage(
    behaviour: Behaviour,
    *,
    processes: int,
    companies: tuple[Company, ...],
    parts: Parts,
    keep: Path | None = None,
) -> Iterator[Stage]:
    """Set the stage, and strike it.

    Args:
        behaviour: How the stand-ins behave.
        processes: Worker processes, at least 1.
        companies: Whose accounts and approvers the plugins find.
        parts: The plugins that take part.
        keep: A folder of its own to put everything into and to leave there; None for one that is deleted.

    Raises:
        JobrunnerError: A plugin cannot be loaded, or the embedded server cannot be had.
    """
    environ = plain_environment(os.environ)
    needed = needed_services(load(parts.plugins, environ))
    with contextlib.ExitStack() as struck:
        folder = keep or Path(tempfile.mkdtemp(prefix="jobrunner-demo-"))
        if keep is None:
            struck.callback(shutil.rmtree, folder, ignore_errors=True)
        properties.lay(folder, companies)
        # Held by us too, and let go of last: a server does not outlive its folder, even if the worker has to be killed.
        struck.enter_context(EmbeddedServer.acquire(folder / "store"))
        pictures = folder / shelves.IMAGES
        server = struck.enter_context(SandboxServer.in_thread(behaviour, pictures=pictures))
        environ |= {
            "REDIS_URL": store_url(folder),
            **properties.SETTINGS,
            **around_proxy(environ),
            **variables(server.services(), needed),
        }
        if keep:
            struck.callback(properties.file_mails, folder / MAILS, server)
        importing = start_command(environ, folder, *properties.IMPORT) if "approval" in parts else None
        worker = _start(environ, folder, parts=parts, processes=processes)
        struck.callback(stop_process, worker)
        if importing:
            struck.callback(stop_process, importing)
        yield Stage(
            environ, server, worker, importing=importing, folder=folder, parts=parts, companies=companies
        )


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


def _start(environ: dict[str, str], folder: Path, *, parts: Parts, processes: int) -> subprocess.Popen[bytes]:
    command = ["run", "--log-format", "json", "--grace", str(GRACE_S)]
    for plugin in parts.plugins:
        command += ["--plugin", plugin]
    command += ["--processes", str(processes)] if processes > 1 else []
    return start_command(environ, folder, *command)


def start_command(
    environ: dict[str, str], folder: Path, *words: str, log: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a command of jobrunner on a stage; what it says goes to the worker's log, or to one of its own."""
    with (log or folder / LOG).open("ab") as output:
        # A session of its own: Ctrl-C reaches the demo alone, which then stops the worker in order.
        return subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "jobrunner", *words],
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def stop_process(worker: subprocess.Popen[bytes]) -> None:
    """End a command in order, or kill it where it does not end."""
    if worker.poll() is None:
        worker.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(STOP_S)
    if worker.poll() is None:
        worker.kill()
        worker.wait()


def where(folder: Path, parts: Parts) -> list[str]:
    """Say what lies where in a folder that is kept."""
    places = {
        "content": f"posts: {folder / shelves.POSTS} (table content_posts)",
        "image": f"images: {folder / shelves.IMAGES}",
        "approval": f"mails: {folder / MAILS}",
        "analytics": f"figures: {folder / shelves.METRICS} (table metrics)",
    }
    lines = [places[part] for part in parts.told if part in places]
    address = shlex.quote(store_url(folder))
    return [
        f"kept: {folder}",
        *(f"  {line}" for line in lines),
        f"  jobs: REDIS_URL={address} jobrunner jobs list {parts.queues[-1]}",
    ]
