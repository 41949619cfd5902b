"""What Redis itself gives to the same client on the same machine: the yardstick beside every figure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import redis
import redis.asyncio as aredis

from bench.plugin import Message, message

_decode = msgspec.json.Decoder(Message).decode


@contextlib.asynccontextmanager
async def setting(url: str) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """A SET to await, by the driver's client."""
    async with aredis.Redis.from_url(url) as client:
        value = b"x" * 200
        await client.set("k", value)
        yield lambda: client.set("k", value)


@contextlib.contextmanager
def setting_blocking(url: str) -> Iterator[Callable[[], object]]:
    """A SET that blocks, by the driver's client."""
    with redis.Redis.from_url(url) as client:
        value = b"x" * 200
        client.set("k", value)
        yield lambda: client.set("k", value)


async def bulk(url: str, n: int) -> float:
    """The least that a bulk enqueue can be: a record into a hash, an id into a sorted set, 500 at once."""
    client = aredis.Redis.from_url(url)
    begun = time.perf_counter()
    for start in range(0, n, 500):
        async with client.pipeline(transaction=True) as pipe:
            records = {f"job-{start + k:012d}": msgspec.json.encode(message()) for k in range(500)}
            pipe.hset("bare:jobs", mapping=records)
            pipe.zadd("bare:wait", dict.fromkeys(records, start))
            await pipe.execute()
    rate = n / (time.perf_counter() - begun)
    await client.aclose()
    return rate


async def drain(url: str, n: int, in_flight: int) -> float:
    """The least that a worker can be: pop, read, decode, a task a job, delete. No lease, no retry, nothing is safe."""
    await bulk(url, n)
    client = aredis.Redis.from_url(url)
    sink = os.open(os.devnull, os.O_WRONLY)

    async def run(raw: bytes) -> None:
        _decode(raw)
        os.write(sink, b"x")

    begun, done = time.perf_counter(), 0
    while done < n:
        popped = await client.zpopmin("bare:wait", in_flight)
        ids = [job_id for job_id, _ in popped]
        records = await client.hmget("bare:jobs", ids)
        await asyncio.gather(*[asyncio.create_task(run(raw)) for raw in records if raw])
        await client.hdel("bare:jobs", *ids)
        done += len(ids)
    rate = n / (time.perf_counter() - begun)
    await client.aclose()
    os.close(sink)
    return rate


async def wake(url: str, n: int) -> list[float]:
    """LPUSH to BLPOP between two connections, idle in between: seconds each."""
    producer, consumer = aredis.Redis.from_url(url), aredis.Redis.from_url(url)
    times: list[float] = []

    async def consume() -> None:
        for _ in range(n):
            popped = await consumer.blpop(["bare:wake"], timeout=5)
            times.append(time.time() - float(popped[1]))

    task = asyncio.create_task(consume())
    for _ in range(n):
        await asyncio.sleep(0.01)
        await producer.lpush("bare:wake", str(time.time()))
    await task
    await producer.aclose()
    await consumer.aclose()
    return times


def lines(path: Path) -> list[float]:
    """The numbers that a handler has written, a line each."""
    return [float(line) for line in path.read_text().split()]
