"""The command line as people run it: its exit status, and what it printed where.

A process of its own for what a process does, such as a worker; for the rest the same entry in this one, since a
process costs half a second of the test run.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner

from jobrunner.cli import cli
from jobrunner.cli.errors import ended

PLUGIN = """
import asyncio
from typing import Annotated
import msgspec
from jobrunner import Discard, Job, Queue, RetryPolicy, Secret, hookimpl


class Parcel(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    number: int
    token: Annotated[str, Secret] = ""
    how: str = "well"


async def deliver(job: Job[Parcel]) -> dict[str, int]:
    job.log.info("delivering", token=job.payload.token)
    await job.progress(0.5, "half way")
    if job.payload.how == "discard":
        raise Discard("nobody lives there")
    if job.payload.how == "fail":
        raise ValueError(f"broken with {job.payload.token}")
    if job.payload.how == "long":
        await asyncio.sleep(60)
    return {"delivered": job.payload.number}


@hookimpl
def jobrunner_queues() -> list[Queue]:
    once = RetryPolicy(max_attempts=1)
    return [Queue("parcel.deliver", Parcel, deliver, priority=4, concurrency=3, retry=once, max_waiting=1000, lease=2)]
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

    @property
    def error(self):
        """The one line that an error is."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


class Desk:
    """A folder with a plugin, and a store."""

    def __init__(self, folder, url):
        self.folder = folder
        (folder / "parcel.py").write_text(PLUGIN)
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "JOBRUNNER_"))
        }
        self.environ = clean | {"REDIS_URL": url, "JOBRUNNER_PLUGINS": "./parcel.py", "NO_COLOR": "1"}

    def run(self, *words, text=None, **environ):
        """Run a command in this process."""
        entry = functools.partial(cli.main, list(words), prog_name="jobrunner", standalone_mode=False)
        with (
            patch.dict(os.environ, self._environ(environ), clear=True),
            patch.object(sys, "path", list(sys.path)),
            contextlib.chdir(self.folder),
            CliRunner().isolation(text) as (out, err, _),
        ):
            status = ended(entry, debug=False)
            sys.stdout.flush()
            sys.stderr.flush()
            return Ran(status, out.getvalue().decode(), err.getvalue().decode())

    def process(self, *words, text=None, **environ):
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "jobrunner", *words],
            env=self._environ(environ),
            cwd=self.folder,
            capture_output=True,
            text=True,
            input=text,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _environ(self, more):
        return {name: value for name, value in (self.environ | more).items() if value is not None}

    def enqueue(self, **payload):
        fields = {"tenantId": "t1", "number": 1} | payload
        done = self.run("enqueue", "parcel.deliver", json.dumps(fields))
        assert done.status == 0, done.err
        return done.out.strip()

    def burst(self, *words):
        done = self.process("run", "--burst", "--log-level", "info", "--log-format", "json", *words)
        assert done.status == 0, done.err
        return [json.loads(line) for line in done.out.splitlines()]

    def stats(self):
        (found,) = self.run("stats", "parcel.deliver", "--json").json
        return found

    def file(self, name, lines):
        path = Path(self.folder, name)
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return str(path)


@pytest.fixture
def store_server(shared_server):
    """One kind of server is enough for the command line."""
    server = shared_server("valkey")
    server.client().flushall()
    return server


@pytest.fixture
def desk(tmp_path, store_server):
    return Desk(tmp_path, store_server.url)
