"""What the tests of pages ask for: a terminal in which a page is followed, and stand-ins for services outside.

The environment that pages install into is made once a test process; tests that want it are in one group, `reader`.
"""

import os
import subprocess
import sys

import pytest
from wheels.distributions import FOLDERS, project

from .index import build_wheels, checkout_environ, lend, reader_environ
from .terminal import Terminal

OTHERS = ("pytest-asyncio", "mypy", "ruff")
"""What pages install besides ours."""
EXTRAS = {"core": "[crypto,embedded,schema,testing]", "image": "[s3]"}


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """The variables of an environment into which pip installs our distributions, and that has what they need."""
    pytest.importorskip("ensurepip", reason="python3 -m venv needs ensurepip")
    home = tmp_path_factory.mktemp("shop")
    environ = reader_environ(build_wheels(home / "wheels", list(FOLDERS)))
    subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True, env=environ)
    ours = [f"{project(name)['name']}{EXTRAS.get(name, '')}" for name in FOLDERS]
    lend(home / "venv", home / "lent", *ours, *OTHERS)
    return environ | {"PATH": f"{home}/venv/bin{os.pathsep}{environ['PATH']}"}


@pytest.fixture
def redis_url(shared_server):
    """The address of a server that is empty."""
    server = shared_server("valkey")
    with server.client() as raw:
        raw.flushall()
    return server.url


@pytest.fixture
def open_terminal(tmp_path, start_process):
    """Return a function that opens a terminal in a folder of its own, with some variables."""

    def open_one(environ, **more):
        folder = tmp_path / "home"
        folder.mkdir()
        return Terminal(folder, environ | more, start_process)

    return open_one


@pytest.fixture
def terminal(open_terminal):
    """A terminal with this repository's own environment: `jobrunner` and all plugins are there, pip is not."""
    return open_terminal(checkout_environ())


@pytest.fixture
def shop_terminal(shop, open_terminal, redis_url):
    """A terminal in which pip installs our distributions by name, with `REDIS_URL` set."""
    return open_terminal(shop, REDIS_URL=redis_url)
