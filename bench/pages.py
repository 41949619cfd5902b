"""Measure how long each page of the dashboard takes with 100 queues, a million jobs in one of them and 10,000 failures.

uv run python -m bench.pages                    # about two minutes, and 600 MB
uv run python -m bench.pages --jobs 100000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec

from bench.servers import binaries, server
from jobrunner import Job, Queue, hookimpl
from jobrunner.discovery import Found
from jobrunner.model import State
from jobrunner.plugins import Plugins, from_object
from jobrunner.record import AttemptError
from jobrunner.store import calls
from jobrunner_http.access import Role
from jobrunner_http.app import App, create_app
from jobrunner_http.server import Server
from jobrunner_http.settings import HttpSettings
from jobrunner_http.tokens import make_token

QUEUES = 100
FAILED = 10_000
CAUSES = 40
TENANTS = 2000
BATCH = 20_000
FULL = "bench.q000"


class Task(msgspec.Struct, rename="camel"):
    """A small payload."""

    tenant_id: str
    number: int


async def work(job: Job[Task]) -> int:
    """Nothing."""
    return job.payload.number


class Module:
    """A plugin of many queues."""

    @staticmethod
    @hookimpl
    def jobrunner_queues() -> list[Queue]:
        """The queues."""
        return [Queue(f"bench.q{at:03}", Task, work) for at in range(QUEUES)]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench.pages")
    options.add_argument("--jobs", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=15)
    args = options.parse_args()
    with server(next(iter(binaries().values()))) as one:
        print(f"{one.title}; {QUEUES} queues, {args.jobs:,} jobs waiting in one, {FAILED:,} failed")
        asyncio.run(measure(one.url, args.jobs, args.rounds))


async def measure(url: str, jobs: int, rounds: int) -> None:
    """Fill the store, and ask for each page."""
    environ = {"REDIS_URL": url, "JOBRUNNER_LOG_LEVEL": "error"}
    plugins = Plugins([from_object(Module, Found(name="bench", target="here"), environ)])
    (admin, admin_kept), (tenant, tenant_kept) = (
        make_token("all", Role.ADMIN),
        make_token("one", Role.ADMIN, tenants=("t7",)),
    )
    settings = HttpSettings(rate=100_000)
    local = (admin_kept, tenant_kept)
    app = create_app(environ, plugins=plugins, settings=settings, local=local, stream=io.StringIO())
    job_id, last = await fill(app, jobs)
    queue = f"/queues/{FULL}"
    paths = [
        *("/", "/?range=3h", "/failures", "/workers", "/plugins", queue, f"{queue}?range=24h"),
        *(f"{queue}?state=waiting&after={last}", f"{queue}?state=waiting&tenant=t7", f"{queue}?state=failed"),
        *(f"{queue}/failures", f"{queue}/jobs/{job_id}", f"{queue}/schema"),
    ]
    async with serving(app) as address:
        for who, token in (("all", admin), ("one tenant", tenant)):
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
                for path in (
                    paths if who == "all" else [one for one in paths if "after=" not in one]
                ):  # sealed
                    took = [await ask(client, path) for _ in range(rounds)]
                    print(
                        f"{who:12} {statistics.median(took):7.1f} ms  most {max(took):7.1f} ms  {path[:70]}"
                    )


async def ask(client: httpx.AsyncClient, path: str) -> float:
    """Ask for a page; milliseconds."""
    begun = time.perf_counter()
    answer = await client.get(path)
    assert answer.status_code in (200, 403), (
        path,
        answer.status_code,
    )  # workers are not for a tenant's token
    return (time.perf_counter() - begun) * 1000


async def fill(app: App, jobs: int) -> tuple[str, str]:
    """Enqueue, and write failures and a day of minutes; a job's id, and a cursor in the middle."""
    store, client = app.site.admin.store, app.site.client
    handle = None
    for start in range(0, jobs, BATCH):
        tasks = [
            Task(tenant_id=f"t{at % TENANTS}", number=at) for at in range(start, min(jobs, start + BATCH))
        ]
        handles = await client.enqueue_many(FULL, tasks)
        handle = handle or handles[0]
    assert handle is not None
    now = await store.run(calls.server_ms())
    for pairs in _failures(store.keys(FULL), now):
        await store.run(calls.command(*pairs))
    for name in app.site.plugins.queues:
        slots = [
            part
            for minute in range(now // 60_000 - 1439, now // 60_000)
            for part in (f"m{minute % 1440}", f"{minute} 12 10 1 1")
        ]
        await store.run(calls.command("HSET", store.keys(name)["stats"], *slots))
    page = await app.site.admin.listing.page(FULL, State.WAITING, start=jobs // 2, limit=1)
    return handle.id, page.next


def _failures(keys: object, now: int) -> Iterator[list[object]]:
    """The commands that write failed jobs."""
    for start in range(0, FAILED, 1000):
        numbers = range(start, start + 1000)
        ids = [f"dead{at}" for at in numbers]
        records = [b'[%d,0,"t%d",1,{"tenantId":"t%d","number":1}]' % (now, at % 9, at % 9) for at in numbers]
        entries = [
            msgspec.json.encode(
                AttemptError(
                    attempt=1,
                    error_type="ValueError",
                    message=f"cause {at % CAUSES}",
                    traceback="x" * 2000,
                    fingerprint=f"{at % CAUSES:012x}",
                )
            )
            for at in numbers
        ]
        flat = [part for pair in zip(ids, records, strict=True) for part in pair]
        yield ["HSET", keys["jobs"], *flat]  # type: ignore[index]  # the queue's keys
        lines = [
            part
            for name, entry in zip(ids, entries, strict=True)
            for part in (name, b"%d %s\n" % (now, entry))
        ]
        yield ["HSET", keys["state"], *lines]  # type: ignore[index]  # as above
        yield ["ZADD", keys["dead"], *(part for name in ids for part in (now, name))]  # type: ignore[index]  # as above


@contextlib.asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """Serve the pages."""
    one = Server(app, "127.0.0.1", 0, app.site.settings)
    running = asyncio.create_task(one.run())
    try:
        yield one.address
    finally:
        one.stop()
        await running
        await app.site.close()


if __name__ == "__main__":
    main()
