"""A store with a queue and schedules, as the tests of this plugin see it."""

import contextlib
import functools
import io
import json
import os
import sys
import threading
from unittest.mock import patch

import msgspec
from click.testing import CliRunner
from redis import RedisCluster

from jobrunner import SyncClient
from jobrunner.cli import cli
from jobrunner.cli.errors import ended
from jobrunner_schedules import Schedule, Schedules, rows
from jobrunner_schedules.keeper import Keeper
from jobrunner_schedules.rows import ScheduleKeys, Standing

PLUGIN = """
from typing import Annotated

import msgspec
from jobrunner import Job, Queue, Secret, hookimpl


class Letter(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    to_whom: str
    tenant_id: str = ""
    token: Annotated[str, Secret] = ""


async def send(job: Job[Letter]) -> str:
    return job.payload.to_whom


@hookimpl
def jobrunner_queues() -> list[Queue]:
    return [
        Queue("letters.send", Letter, send, priority=5),
        Queue("letters.few", Letter, send, max_waiting=1),
        Queue("letters.once", Letter, send, unique_field="to_whom"),
    ]
"""

DAILY = Schedule(queue="letters.send", payload={"toWhom": "Ada"}, cron="0 2 * * *", timezone="Europe/Berlin")
OFTEN = Schedule(queue="letters.send", payload={"toWhom": "Ada"}, every="1h")


class House:
    """A folder with a plugin, a server, and the schedules in it."""

    def __init__(self, folder, server, *, retry_for=5.0, **environ):
        self.folder = folder
        self.server = server
        (folder / "letters.py").write_text(PLUGIN)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("REDIS_", "JOBRUNNER_"))}
        self.environ = clean | {
            "REDIS_URL": server.url,
            "JOBRUNNER_PLUGINS": str(folder / "letters.py"),
            "NO_COLOR": "1",
            **environ,
        }
        self.client = SyncClient.from_env(self.environ, retry_for=retry_for)
        self.book = Schedules(self.client)
        self.keys = ScheduleKeys("jr")
        self.told = []
        self.keeper = Keeper(self.client, self.told.append)

    def close(self):
        self.client.close()

    def back(self, name, ms, **changes):
        """As if nobody had kept a schedule for so long: its next slot is the first one after that time ago."""
        found = self.found(name)
        row, standing = rows.read(found)
        slot = row.timing.plan.after(self.book.now_ms() - ms)
        self.write(found, row, msgspec.structs.replace(standing, slot=slot, **changes), slot)
        return slot

    def write(self, found, row, standing, due):
        row, standing = (
            one if isinstance(one, bytes) else msgspec.json.encode(one) for one in (row, standing)
        )
        assert self.client.store.run(rows.change(self.keys, found, row, standing, due))

    def found(self, name):
        return self.client.store.run(rows.get(self.keys, name))

    def standing(self, name) -> Standing:
        return rows.read(self.found(name))[1]

    def redis(self):
        """A client of the server, or of a whole cluster: queues and schedules are on nodes of their own."""
        if self.server.url.startswith("redis+cluster:"):
            return RedisCluster(host="127.0.0.1", port=self.server.node.port)
        return self.server.client()

    def empty(self, queue):
        """Delete all of a queue."""
        with self.redis() as redis:
            redis.delete(*redis.scan_iter(f"jr:{{{queue}}}:*"))

    def jobs(self, queue="letters.send"):
        """The ids of all jobs of a queue that are there."""
        with self.redis() as redis:
            return sorted(name.decode() for name in redis.hkeys(f"jr:{{{queue}}}:jobs"))

    def record(self, job_id, queue="letters.send"):
        with self.redis() as redis:
            return json.loads(redis.hget(f"jr:{{{queue}}}:jobs", job_id))

    def events(self, kind):
        return [event for event in self.told if type(event).__name__ == kind]

    @contextlib.contextmanager
    def kept(self, number=1):
        """Keepers on threads of their own, each with a client of its own."""
        keepers, threads, clients = [], [], []
        for _ in range(number):
            clients.append(SyncClient.from_env(self.environ, retry_for=5.0))
            keepers.append(Keeper(clients[-1], self.told.append))
            threads.append(threading.Thread(target=keepers[-1].run))
            threads[-1].start()
        try:
            yield
        finally:
            for keeper, thread, client in zip(keepers, threads, clients, strict=True):
                keeper.stop()
                thread.join()
                client.close()

    def run(self, *words, stdin="", **environ):
        """Run `jobrunner schedules` in this process: its status, output and errors."""
        entry = functools.partial(
            cli.main, ["schedules", *words], prog_name="jobrunner", standalone_mode=False
        )
        with (
            patch.dict(os.environ, self.environ | environ, clear=True),
            patch.object(sys, "path", list(sys.path)),
            contextlib.chdir(self.folder),
            CliRunner().isolation(io.BytesIO(stdin.encode())) as (out, err, _),
        ):
            status = ended(entry, debug=False)
            sys.stdout.flush()
            sys.stderr.flush()
            return status, out.getvalue().decode(), err.getvalue().decode()
