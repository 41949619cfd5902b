"""The command line as people run it: a process, its exit status, and what it printed where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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

    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.err = process.stderr

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
        command = [sys.executable, "-m", "jobrunner", *words]
        env = {name: value for name, value in (self.environ | environ).items() if value is not None}
        return Ran(
            subprocess.run(
                command, env=env, cwd=self.folder, capture_output=True, text=True, input=text, timeout=60
            )
        )

    def enqueue(self, **payload):
        fields = {"tenantId": "t1", "number": 1} | payload
        done = self.run("enqueue", "parcel.deliver", json.dumps(fields))
        assert done.status == 0, done.err
        return done.out.strip()

    def burst(self, *words):
        done = self.run("run", "--burst", "--log-level", "info", "--log-format", "json", *words)
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
