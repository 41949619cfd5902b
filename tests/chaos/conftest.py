"""Fixtures of the chaos tests."""

import os
from pathlib import Path

import pytest
from rig.figures import VARIABLE, Recorder, append, look_around
from rig.servers import ServerOptions

from .scene import Scene

PASSED = pytest.StashKey[bool]()


@pytest.fixture
def scene(tmp_path, start_server, start_process):
    """A scenario on a server of its own, without persistence."""
    server = start_server("valkey", ServerOptions())
    return Scene(tmp_path, server.url, server.client(), start_process)


@pytest.fixture
def make_scene(tmp_path, start_server, start_process):
    """A function that makes a scenario, and gives its server too."""

    def make(*, kind="valkey", options=None, **more):
        server = start_server(kind, options or ServerOptions())
        return Scene(tmp_path, server.url, server.client(), start_process, **more), server

    return make


@pytest.fixture(scope="session")
def ground():
    """What this run measures on is written down once, before the first figures."""
    if path := os.environ.get(VARIABLE):
        append(Path(path), look_around())


@pytest.fixture
def figures(request, ground):
    """The recorder of this test's figures, for the page on reliability."""
    recorder = Recorder(request.node.nodeid)
    yield recorder
    recorder.close(passed=request.node.stash.get(PASSED, False))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Remember for the fixtures whether the test passed."""
    report = yield
    if report.when == "call":
        item.stash[PASSED] = report.passed
    return report
