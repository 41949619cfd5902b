"""What is measured, a function each: it gives rows of (what, figure, unit, the bare figure beside it, budget)."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench import bare
from bench.plugin import message
from bench.servers import Server
from bench.worker import drained, worker
from jobrunner import Client, State, SyncClient
from jobrunner.names import new_job_id, new_nonce
from jobrunner.store import calls
from jobrunner.store.address import parse_url
from jobrunner.store.calls import Exchange, NewJob
from jobrunner.store.connect import open_store

QUEUE = "bench.count"


class Row(msgspec.Struct, frozen=True):
    """A figure, and the bare figure of the same run beside it."""

    what: str
    figure: float
    unit: str
    beside: float | None = None
    note: str = ""


Measure = Callable[[Server, Path, int], Iterator[Row]]


def client(server: Server) -> Client:
    """A client that knows the benchmark's queues."""
    return Client.from_env({"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": "bench.plugin"})


async def fill(server: Server, n: int, *, tenants: int = 1) -> float:
    """Enqueue `n` jobs in bulk; jobs a second."""
    async with client(server) as producer:
        begun = time.perf_counter()
        for start in range(0, n, 20_000):
            part = [message(f"t-{k % tenants}") for k in range(start, min(n, start + 20_000))]
            await producer.enqueue_many(QUEUE, part)
        return n / (time.perf_counter() - begun)


def enqueue(server: Server, _: Path, n: int) -> Iterator[Row]:
    """One by one and in bulk, for those who await and for those who do not."""
    few = max(500, n // 10)
    for name, (ours, plain) in {
        "async": asyncio.run(_one_by_one(server, few)),
        "sync": _one_by_one_blocking(server, few),
    }.items():
        yield Row(f"enqueue one by one, {name}", ours, "jobs/s", plain, "bare SET")
    server.client.flushall()
    plain = asyncio.run(bare.bulk(server.url, n))
    for tenants in (1, 1000):
        server.client.flushall()
        rate = asyncio.run(fill(server, n, tenants=tenants))
        yield Row(f"enqueue in bulk, {tenants:,} tenants", rate, "jobs/s", plain, "bare HSET + ZADD")


TURN = 50
"""Calls of one kind before the other's turn: what the machine does beside it meets both."""


async def _one_by_one(server: Server, n: int) -> tuple[float, float]:
    """Enqueues and bare SETs a second, in turns."""
    payload, took, plain = message(), 0.0, 0.0
    async with client(server) as producer, bare.setting(server.url) as put:
        await producer.enqueue(QUEUE, payload)
        for _ in range(n // TURN):
            begun = time.perf_counter()
            for _ in range(TURN):
                await producer.enqueue(QUEUE, payload)
            between = time.perf_counter()
            for _ in range(TURN):
                await put()
            took += between - begun
            plain += time.perf_counter() - between
    return n // TURN * TURN / took, n // TURN * TURN / plain


def _one_by_one_blocking(server: Server, n: int) -> tuple[float, float]:
    """The same for those who do not await."""
    payload, took, plain = message(), 0.0, 0.0
    environ = {"REDIS_URL": server.url, "JOBRUNNER_PLUGINS": "bench.plugin"}
    with SyncClient.from_env(environ) as producer, bare.setting_blocking(server.url) as put:
        producer.enqueue(QUEUE, payload)
        for _ in range(n // TURN):
            begun = time.perf_counter()
            for _ in range(TURN):
                producer.enqueue(QUEUE, payload)
            between = time.perf_counter()
            for _ in range(TURN):
                put()
            took += between - begun
            plain += time.perf_counter() - between
    return n // TURN * TURN / took, n // TURN * TURN / plain


def drain(server: Server, folder: Path, n: int) -> Iterator[Row]:
    """One worker process, no-op handlers, at several concurrencies."""
    for concurrency in (1, 10, 50, 200):
        server.client.flushall()
        plain = asyncio.run(bare.drain(server.url, n, concurrency)) if concurrency > 1 else None
        server.client.flushall()
        asyncio.run(fill(server, n))
        cost = drained(server, folder / "drain", n, concurrency=concurrency)
        yield Row(f"drain, {concurrency} in flight", cost.rate, "jobs/s", plain, "bare pop, read, delete")
        yield Row(f"  CPU of the worker, {concurrency} in flight", cost.worker_us, "us a job")
        yield Row(f"  CPU of the server, {concurrency} in flight", cost.server_us, "us a job")
    server.client.flushall()
    asyncio.run(fill(server, n))
    cost = drained(server, folder / "drain", n, concurrency=50, level="info")
    yield Row("drain, 50 in flight, a log line a job", cost.rate, "jobs/s")
    server.client.flushall()
    asyncio.run(fill(server, n, tenants=10_000))
    cost = drained(server, folder / "drain", n, concurrency=50)
    yield Row("drain, 50 in flight, 10,000 tenants", cost.rate, "jobs/s")


def logs(server: Server, folder: Path, n: int) -> Iterator[Row]:
    """The same drain with a line a job in each format, with a tenth of the lines, and without any."""

    def rate(**lines: Any) -> tuple[float, float]:
        server.client.flushall()
        asyncio.run(fill(server, n))
        cost = drained(server, folder / "logs", n, concurrency=50, **lines)
        written = (folder / "logs.log").stat().st_size
        return cost.rate, written / n

    none, _ = rate()
    for name, lines in (
        ("json", {}),
        ("ecs", {"lines": "ecs"}),
        ("otel", {"lines": "otel"}),
        ("json, a tenth of the jobs", {"sample": 0.1}),
    ):
        jobs, size = rate(level="info", **lines)
        yield Row(
            f"drain with lines, {name}", jobs, "jobs/s", none, f"without lines; {size:,.0f} bytes a job"
        )


def latency(server: Server, folder: Path, _: int) -> Iterator[Row]:
    """From a producer to a handler of an idle worker; and what an idle worker costs."""
    server.client.flushall()
    file = folder / "latency"
    file.write_bytes(b"")
    jobs = 300

    async def produce() -> None:
        async with client(server) as producer:
            for _ in range(jobs):
                await asyncio.sleep(0.01)
                await producer.enqueue("bench.clock", message(sent=time.time()))

    with worker(server, file, queue="bench.clock") as pid:
        time.sleep(2.0)
        before, cpu = _commands(server), time.clock_gettime(~pid << 3 | 2)
        time.sleep(5.0)
        idle_commands = (_commands(server) - before) / 5
        idle_cpu = (time.clock_gettime(~pid << 3 | 2) - cpu) / 5 * 100
        asyncio.run(produce())
        deadline = time.monotonic() + 20
        while len(bare.lines(file)) < jobs and time.monotonic() < deadline:
            time.sleep(0.05)
        seconds = bare.lines(file)
    plain = asyncio.run(bare.wake(server.url, jobs))
    yield Row("idle latency, median", _cut(seconds, 50), "ms", _cut(plain, 50), "bare LPUSH to BLPOP")
    yield Row("idle latency, p99", _cut(seconds, 99), "ms", _cut(plain, 99), "bare LPUSH to BLPOP")
    yield Row("idle worker, commands", idle_commands, "a second")
    yield Row("idle worker, CPU", idle_cpu, "% of a core")


def memory(server: Server, _: Path, n: int) -> Iterator[Row]:
    """Bytes of the server a waiting job."""
    asyncio.run(fill(server, 1000))  # so that scripts and buffers are there before
    server.client.flushall()
    before = server.used()
    asyncio.run(fill(server, n))
    yield Row(f"memory, {server.title}", (server.used() - before) / n, "bytes a job")


def depth(server: Server, folder: Path, n: int) -> Iterator[Row]:
    """The same drain over a thousand waiting jobs and over a million."""
    small, deep = 1_000, max(20 * n, 20_000)
    rates = {}
    for waiting in (small, deep):
        server.client.flushall()
        asyncio.run(fill(server, n + waiting))
        rates[waiting] = drained(server, folder / "depth", n, concurrency=50).rate
    yield Row(
        f"drain with {deep:,} waiting behind", rates[deep], "jobs/s", rates[small], f"with {small:,} behind"
    )


def scripts(server: Server, _: Path, n: int) -> Iterator[Row]:
    """Each script's time with many jobs in every state, by the server's own clock."""
    server.client.flushall()
    many = 20 * n
    asyncio.run(_every_state(server, many))
    for name, figures in asyncio.run(_script_times(server)).items():
        p50, p99 = (
            statistics.quantiles(figures, n=100, method="inclusive")[percent - 1] / 1000
            for percent in (50, 99)
        )
        note = f"p50 {p50:.2f} ms, max {max(figures) / 1000:.2f} ms, {many:,} jobs in each state"
        yield Row(f"script {name}, p99", p99, "ms", None, note)
    for tenants, limit in ((100, 1), (5000, 1), (5000, 1000)):
        server.client.flushall()
        figures = asyncio.run(_limited_times(server, min(n, 30_000), tenants, limit))
        p50, p99 = (
            statistics.quantiles(figures, n=100, method="inclusive")[percent - 1] / 1000
            for percent in (50, 99)
        )
        what = f"script exchange, {tenants:,} tenants of {limit:,} at once, p99"
        yield Row(what, p99, "ms", None, f"p50 {p50:.2f} ms, max {max(figures) / 1000:.2f} ms")


async def _limited_times(server: Server, n: int, tenants: int, limit: int) -> list[float]:
    """Microseconds of exchanges that reserve and settle whole batches while tenants are limited."""
    store = open_store(parse_url(server.url))
    keys, payload = store.keys(QUEUE), msgspec.json.encode(message())
    for start in range(0, n, calls.MAX_ENQUEUE):
        numbers = range(start, min(n, start + calls.MAX_ENQUEUE))
        jobs = [NewJob(new_job_id(), "0", b'0,"t-%d",1,%s]' % (k % tenants, payload)) for k in numbers]
        await store.run(calls.enqueue(keys, jobs))
    figures: list[float] = []
    held: list[str] = []
    for serial in range(1, n // calls.MAX_BATCH + 1):
        nonce = new_nonce()
        request = Exchange(
            consumer="bench",
            serial=serial,
            nonce=nonce,
            want=calls.MAX_BATCH,
            lease_ms=30_000,
            plain=held,
            max_active_per_tenant=limit,
        )
        _, before = server.script_us()
        answer = await store.run(calls.exchange(keys, request))
        figures.append(server.script_us()[1] - before)
        held = [part for job in answer.jobs for part in (job.id, nonce)]
    await store.close()
    return figures


async def _every_state(server: Server, many: int) -> None:
    """`many` jobs in each state, laid down as the scripts would leave them."""
    store = open_store(parse_url(server.url))
    keys = store.keys(QUEUE)
    record = b'[%d,0,"t-1",1,%s]' % (int(time.time() * 1000), msgspec.json.encode(message()))
    now = int(time.time() * 1000)
    for part in ("wait", "later", "done", "dead", "cancelled"):
        score = {"wait": 100 * 2**46, "later": now + 3_600_000}.get(part, now)
        for start in range(0, many, 2000):
            ids = [new_job_id() for _ in range(2000)]
            records: list[object] = ["HSET", keys["jobs"]]
            scores: list[object] = ["ZADD", keys[part]]
            for k, job_id in enumerate(ids):
                records += (job_id, record)
                scores += (score + start + k, job_id)
            await store.run_many([calls.command(*records), calls.command(*scores)])
    await store.close()


async def _script_times(server: Server) -> dict[str, list[float]]:
    """Microseconds of each script, call by call."""
    store = open_store(parse_url(server.url))
    keys = store.keys(QUEUE)
    figures: dict[str, list[float]] = {}

    async def timed(name: str, call: calls.Call[object]) -> object:
        count, before = server.script_us()
        answer = await store.run(call)
        after_count, after = server.script_us()
        if after_count == count + 1:
            figures.setdefault(name, []).append(after - before)
        return answer

    record = b'0,"t-1",1,%s]' % msgspec.json.encode(message())
    held: list[tuple[str, str]] = []
    for serial in range(1, 201):
        jobs = [NewJob(new_job_id(), "0", record) for _ in range(calls.MAX_ENQUEUE)]
        await timed("enqueue of a batch", calls.enqueue(keys, jobs))  # type: ignore[arg-type]  # a call of any answer
        nonce = new_nonce()
        plain = [part for pair in held for part in pair]
        request = Exchange(
            consumer="bench",
            serial=serial,
            nonce=nonce,
            want=calls.MAX_BATCH,
            lease_ms=30_000,
            plain=plain,
            keep=1000,
        )
        answer = await timed("exchange of a batch", calls.exchange(keys, request))  # type: ignore[arg-type]
        held = [(job.id, nonce) for job in answer.jobs]  # type: ignore[attr-defined]
        await timed("extend of a batch", calls.extend(keys, 30_000, held))  # type: ignore[arg-type]
        recover = calls.recover(keys, lease_ms=30_000, limit=100, max_crashes=3, seed=1, delays_ms=[1000])
        await timed("recover", recover)  # type: ignore[arg-type]
        await timed("counts", calls.counts(keys))  # type: ignore[arg-type]
        await timed("trim of 500", calls.trim(keys, State.COMPLETED, keep=0, keep_ms=-1, limit=500))  # type: ignore[arg-type]
    await store.close()
    return figures


def _commands(server: Server) -> int:
    stats = server.client.info("commandstats")
    return sum(int(one["calls"]) for name, one in stats.items() if name != "cmdstat_info")  # type: ignore[union-attr]


def _cut(figures: list[float], percent: int) -> float:
    scale = 1000.0 if max(figures, default=0) < 60 else 1.0
    return statistics.quantiles(figures, n=100, method="inclusive")[percent - 1] * scale


MEASURES: dict[str, Measure] = {
    "enqueue": enqueue,
    "drain": drain,
    "logs": logs,
    "latency": latency,
    "memory": memory,
    "depth": depth,
    "scripts": scripts,
}
