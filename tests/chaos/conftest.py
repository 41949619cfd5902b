"""Fixtures of the chaos tests."""

import pytest
from rig.servers import ServerOptions

from .scene import Scene


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
