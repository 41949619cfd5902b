"""An HTTP API as its callers see it: a real server on loopback, a real store, queues that the tests declare."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from typing import Annotated

import httpx
import msgspec
import redis

from jobrunner import Discard, Job, Queue, RetryPolicy, Secret, hookimpl
from jobrunner.discovery import Found
from jobrunner.logs import Logs
from jobrunner.plugins import Plugins, from_object
from jobrunner.settings import core_settings
from jobrunner.store.address import parse_url
from jobrunner.worker.worker import Worker, WorkerOptions
from jobrunner_http import create_app
from jobrunner_http.access import ROLES
from jobrunner_http.server import Server
from jobrunner_http.settings import HttpSettings
from jobrunner_http.tokens import make_token

CANARY = "canary-7d1f-never-shown"


class Parcel(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    number: int = 0
    token: Annotated[str, Secret] = ""
    how: str = "well"


class Note(msgspec.Struct, forbid_unknown_fields=True):
    to: str
    text: str = ""


async def deliver(job: Job[Parcel]) -> dict[str, object]:
    job.log.info("delivering", token=job.payload.token)
    await job.progress(0.5, f"half way with {job.payload.token}")
    match job.payload.how:
        case "discard":
            raise Discard(f"nobody lives there, says {job.payload.token}")
        case "fail":
            raise ValueError(f"broken with {job.payload.token}")
    return {"delivered": job.payload.number, "with": job.payload.token}


async def send(job: Job[Note]) -> str:
    return job.payload.to


class Module:
    @staticmethod
    @hookimpl
    def jobrunner_queues() -> list[Queue]:
        once = RetryPolicy(max_attempts=1)
        return [
            Queue(
                "parcel.deliver",
                Parcel,
                deliver,
                priority=4,
                retry=once,
                route="parcel/deliver",
                max_waiting=600,
            ),
            Queue("note.send", Note, send, retry=once, route="note/send"),
        ]


class House:
    """A served API, and the other side of its store."""

    def __init__(self, url: str, **settings: object) -> None:
        self.environ = {"REDIS_URL": url, "JOBRUNNER_LOG_FORMAT": "json", "JOBRUNNER_LOG_LEVEL": "info"}
        self.plugins = Plugins([from_object(Module, Found(name="house", target="here"), self.environ)])
        self.stream = io.StringIO()
        self.redis = redis.Redis.from_url(url)
        given = {"port": 0, "rate": 10_000.0, "wrong_tokens": 100_000.0} | settings
        self.app = create_app(
            self.environ, plugins=self.plugins, settings=HttpSettings(**given), stream=self.stream
        )
        self.site = self.app.site
        self.server = Server(self.app, "127.0.0.1", 0, self.site.settings)
        self.url = self.server.address
        self.clients: list[httpx.AsyncClient] = []

    @contextlib.asynccontextmanager
    async def open(self):
        task = asyncio.create_task(self.server.run())
        try:
            yield self
        finally:
            for client in self.clients:
                await client.aclose()
            self.server.stop()
            await asyncio.wait_for(task, 20)
            await self.site.close()
            self.redis.close()

    async def token(self, role: str = "admin", *, name: str = "", **limits: object) -> str:
        text, kept = make_token(name or role, ROLES[role], **limits)
        await self.site.admin.keep_token(kept.id, msgspec.json.encode(kept))
        self.site.tokens._read_at = -100.0  # a token that was just made is known at once
        return text

    async def client(self, role: str = "admin", **limits: object) -> httpx.AsyncClient:
        text = await self.token(role, **limits)
        return self.bare(headers={"authorization": f"Bearer {text}"})

    def bare(self, **options: object) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=self.url, timeout=20, **options)
        self.clients.append(client)
        return client

    async def enqueue(self, *parcels: Parcel, **options: object) -> list[str]:
        handles = await self.site.client.enqueue_many("parcel.deliver", parcels, **options)
        return [handle.id for handle in handles]

    async def work(self) -> None:
        """Run every job that can run."""
        settings = core_settings(self.environ)
        await Worker(
            self.plugins,
            parse_url(self.environ["REDIS_URL"]),
            settings,
            self.environ,
            WorkerOptions(grace=1, burst=True),
            Logs(settings, io.StringIO()),
            listen=False,
        ).run()

    def dump(self, *, without: tuple[str, ...] = ("!fleet",)) -> dict[str, object]:
        """The whole store, for comparing before and after."""
        found = {}
        for key in sorted(self.redis.keys("*")):
            name = key.decode()
            if any(part in name for part in without):
                continue
            kind = self.redis.type(key).decode()
            read = {
                "zset": lambda key=key: self.redis.zrange(key, 0, -1, withscores=True),
                "hash": lambda key=key: self.redis.hgetall(key),
                "list": lambda key=key: self.redis.lrange(key, 0, -1),
                "stream": lambda key=key: self.redis.xrange(key),
            }[kind]
            found[name] = read()
        return found

    def jobs_of(self, tenant: str) -> dict[bytes, object]:
        """Everything that the store holds of a tenant's parcels."""
        base = "jr:{parcel.deliver}:"
        ids = [
            job_id
            for job_id, record in self.redis.hgetall(base + "jobs").items()
            if json.loads(record)[2] == tenant
        ]
        parts = ("jobs", "attempts", "state", "lease", "steps", "progress", "logs")
        lists = ("wait", "later", "active", "done", "dead", "cancelled", "parked")
        return {
            job_id: (
                [self.redis.hget(base + part, job_id) for part in parts],
                [self.redis.zscore(base + part, job_id) is not None for part in lists],
            )
            for job_id in ids
        }

    def lines(self, event: str) -> list[dict[str, object]]:
        found = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in found if line["event"] == event]


def parcel(tenant: str = "acme", number: int = 0, **more: str) -> Parcel:
    return Parcel(tenant_id=tenant, number=number, **more)


async def until(condition, *, timeout_s: float = 20.0) -> None:
    """Wait for something that happens by itself."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = condition()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)
