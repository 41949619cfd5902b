"""Measure how long each page and route takes with 100 queues, a million jobs and 100,000 failures in one of them.

Each failure has 2 KB of traceback. Whatever is over the budget is marked, and the exit status is 1.

uv run python -m bench.pages                    # some minutes, and 1 GB
uv run python -m bench.pages --jobs 100000 --failed 10000
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import statistics
import sys
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
BUDGET_MS = 300
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
    options.add_argument("--failed", type=int, default=100_000)
    options.add_argument("--rounds", type=int, default=30)
    args = options.parse_args()
    with server(next(iter(binaries().values()))) as one:
        print(f"{one.title}; {QUEUES} queues, {args.jobs:,} jobs waiting in one, {args.failed:,} failed")
        slow = asyncio.run(measure(one.url, args.jobs, args.failed, args.rounds))
    print(f"{slow or 'none'} over {BUDGET_MS} ms at the median")
    sys.exit(1 if slow else 0)


async def measure(url: str, jobs: int, failed: int, rounds: int) -> int:
    """Fill the store, and ask for each page and route; how many are over the budget."""
    environ = {"REDIS_URL": url, "JOBRUNNER_LOG_LEVEL": "error"}
    plugins = Plugins([from_object(Module, Found(name="bench", target="here"), environ)])
    (admin, admin_kept), (tenant, tenant_kept) = (
        make_token("all", Role.ADMIN),
        make_token("one", Role.ADMIN, tenants=("t0",)),
    )
    settings = HttpSettings(rate=100_000)
    local = (admin_kept, tenant_kept)
    app = create_app(environ, plugins=plugins, settings=settings, local=local, stream=io.StringIO())
    job_id, last = await fill(app, jobs, failed)
    slow = 0
    async with serving(app) as address:
        for who, token in (("all", admin), ("one tenant", tenant)):
            headers = {"authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
                for asked in asks(job_id, last if who == "all" else ""):  # a tenant's cursors are sealed
                    took = [await ask(client, asked) for _ in range(rounds)]
                    slow += told(who, asked, took)
    return slow


class Asked(msgspec.Struct, frozen=True):
    """A request to measure."""

    path: str
    method: str = "GET"
    body: object = None


def asks(job_id: str, last: str) -> list[Asked]:
    """Every page, and every route that looks or changes a bounded number of jobs; streams and bulk changes apart."""
    page, api = f"/queues/{FULL}", f"/api/queue/{FULL}"
    listed = [f"state={state.value}" for state in State] + ["state=waiting&tenant=t0"]
    listed += [f"state=waiting&after={last}"] if last else []
    paths = [
        *("/", "/?range=3h", "/failures", "/workers", "/plugins", page, f"{page}?range=24h"),
        *(f"{page}?{query}" for query in listed),
        *(f"{page}/failures", f"{page}/jobs/{job_id}", f"{page}/schema", "/login", "/livez", "/readyz"),
        *("/api/health", "/api/queue/health", "/api/queue/stats", f"/api/queue/stats/{FULL}", "/api/queue"),
        *("/api/workers", "/api/openapi.json", "/metrics", f"/api/backlog?queue={FULL}", f"{api}/schema"),
        *(f"{api}/minutes?last=1440", f"{api}/causes", f"{api}/jobs/{job_id}"),
        *(f"{api}/jobs?limit=500&{query}" for query in listed),
    ]
    choice = {"state": "failed", "limit": 1000, "cause": "0" * 12, "dryRun": True}
    return [
        *map(Asked, paths),
        Asked(f"{api}/jobs", "POST", {"payload": {"tenantId": "t0", "number": 1}}),
        Asked(f"{api}/retry", "POST", choice),
        Asked(f"{api}/pause", "POST"),
        Asked(f"{api}/resume", "POST"),
    ]


async def ask(client: httpx.AsyncClient, asked: Asked) -> tuple[float, float]:
    """Ask; milliseconds that passed, and those of them that this process had a core for (server and client)."""
    begun, used = time.perf_counter(), time.process_time()
    answer = await client.request(asked.method, asked.path, json=asked.body)
    took = (time.perf_counter() - begun) * 1000, (time.process_time() - used) * 1000
    # What is about all tenants together is not for a tenant's token.
    assert answer.status_code in (200, 202, 403), (asked.path, answer.status_code, answer.text[:300])
    return took


def told(who: str, asked: Asked, both: list[tuple[float, float]]) -> bool:
    """Print a line; whether it is over the budget."""
    took, cpu = [one for one, _ in both], statistics.median(used for _, used in both)
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    over = statistics.median(took) > BUDGET_MS
    mark = "OVER" if over else "tail" if p99 > BUDGET_MS else ""
    print(
        f"{who:10} p50 {statistics.median(took):7.1f}  p99 {p99:7.1f}  first {took[0]:7.1f}  cpu {cpu:6.1f} ms  {mark:4}"
        f" {asked.method} {asked.path[:90]}",
        flush=True,
    )
    return over


async def fill(app: App, jobs: int, failed: int) -> tuple[str, str]:
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
    for pairs in _failures(store.keys(FULL), now, failed):
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


def _failures(keys: object, now: int, failed: int) -> Iterator[list[object]]:
    """The commands that write failed jobs."""
    for start in range(0, failed, 1000):
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
