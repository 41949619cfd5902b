"""A folder with a plugin, a store, the command line in this process, and the real BullMQ where npm can have it."""

import contextlib
import functools
import json
import os
import sys
from unittest.mock import patch

import pytest
from click.testing import CliRunner
from rig.bull import VERSIONS

from jobrunner.cli import cli
from jobrunner.cli.errors import ended

PLUGIN = """
import msgspec
from jobrunner import Job, Queue, hookimpl


class Welcome(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    user_id: int
    email: str = "ada@example.com"
    tenant_id: str = ""


async def welcome(job: Job[Welcome]) -> int:
    return job.payload.user_id


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [
        Queue("mail.welcome", Welcome, welcome, priority=5, concurrency=1),
        Queue("mail", Welcome, welcome, max_waiting=7),
    ]
"""


class Ran:
    """What became of a command."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    def states(self):
        """State -> what became of its jobs."""
        return {row["state"]: row for row in self.json["states"]}


class Desk:
    """A folder with a plugin, and a store."""

    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        (folder / "mail.py").write_text(PLUGIN)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("REDIS_", "JOBRUNNER_", "BULLMQ_"))
        }
        self.environ = clean | {"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": "./mail.py", "NO_COLOR": "1"}

    def run(self, *words, **environ):
        """Run a command in this process."""
        entry = functools.partial(cli.main, list(words), prog_name="jobrunner", standalone_mode=False)
        with (
            patch.dict(os.environ, self.environ | environ, clear=True),
            patch.object(sys, "path", list(sys.path)),
            contextlib.chdir(self.folder),
            CliRunner().isolation() as (out, err, _),
        ):
            status = ended(entry, debug=False)
            sys.stdout.flush()
            sys.stderr.flush()
            return Ran(status, out.getvalue().decode(), err.getvalue().decode())

    def bring(self, *words, source="mail", target="mail.welcome", **environ):
        """Run `jobrunner import bullmq`, for its JSON."""
        return self.run("import", "bullmq", source, "--to", target, "--json", *words, **environ)

    def jobs(self, state="waiting", queue="mail.welcome"):
        """Jobs of ours, those first that run first."""
        done = self.run("jobs", "list", queue, "--state", state, "--limit", "500", "--json")
        assert done.status == 0, done.err
        return done.json

    def show(self, job_id, queue="mail.welcome"):
        done = self.run("jobs", "show", queue, job_id, "--json")
        assert done.status == 0, done.err
        return done.json


@pytest.fixture
def store_server(shared_server):
    """One kind of server is enough: what is written there is BullMQ's, and read by plain commands."""
    server = shared_server("valkey")
    with server.client() as client:
        client.flushall()
    return server


@pytest.fixture
def redis(store_server):
    with store_server.client() as client:
        yield client


@pytest.fixture
def desk(tmp_path, store_server):
    return Desk(tmp_path, store_server)


@pytest.fixture(params=VERSIONS)
def bull(request, start_bull, store_server):
    """The real BullMQ, each version."""
    return start_bull(store_server, request.param)


@pytest.fixture
def usual(start_bull, store_server):
    """The real BullMQ, the version that most use."""
    return start_bull(store_server, "bullmq5")
