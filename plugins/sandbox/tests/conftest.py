"""One sandbox a module, empty before every test, and a client that carries a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

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
