"""One sandbox a module, empty before every test, a client that carries a token, and the commands as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from jobrunner_sandbox import Behaviour, SandboxServer


class Ahead:
    """How far the sandbox's clock is ahead, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def set(self, seconds: float) -> None:
        self.seconds = seconds

    def now(self) -> float:
        return time.time() + self.seconds


AHEAD = Ahead()


@pytest.fixture(scope="module")
def set_ahead() -> Callable[[float], None]:
    """Set the sandbox's clock so many seconds ahead of the real one."""
    return AHEAD.set


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxServer]:
    with SandboxServer.in_thread(now=AHEAD.now) as server:
        yield server


@pytest.fixture
def sandbox(running: SandboxServer) -> SandboxServer:
    AHEAD.set(0)
    running.behaviour = Behaviour()
    running.reset()
    return running


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(headers={"Authorization": "Bearer secret-token"}, base_url=sandbox.url) as client:
        yield client


class Commands:
    """Runs `jobrunner` with a temporary folder of its own, and says what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environ(self, **more: str) -> dict[str, str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
        }
        return clean | {"TMPDIR": str(self.folder), "PYTHONUNBUFFERED": "1"} | more

    def run(self, *words: str, timeout: float = 100, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "jobrunner", *words]
        return subprocess.run(
            command, env=self.environ(**environ), capture_output=True, text=True, timeout=timeout
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "jobrunner", *words]
        return subprocess.Popen(
            command, env=self.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def left(self) -> list[str]:
        """Folders of the demo, and processes that have a file there on their command line."""
        found = subprocess.run(["pgrep", "-fl", str(self.folder)], capture_output=True, text=True).stdout
        return [*found.splitlines(), *map(str, self.folder.glob("jobrunner-demo-*"))]


@pytest.fixture
def commands() -> Iterator[Commands]:
    # A short name: the embedded server's socket must fit into a hundred bytes.
    with tempfile.TemporaryDirectory(prefix="jr-") as folder:
        yield Commands(Path(folder))
