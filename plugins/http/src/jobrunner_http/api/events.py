"""The event stream: server-sent events, resumable by Last-Event-ID; the queues', or one job's as it moves.

A stream ends when its token stops being one, when it is too slow, and after a quarter of an hour; browsers come back by
themselves with the id of what they saw last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from litestar.response import Stream

from jobrunner.errors import JobNotFoundError, StoreError
from jobrunner_http.access import Caller, Role
from jobrunner_http.api.asking import By, OnSite
from jobrunner_http.api.describing import problems
from jobrunner_http.door import open_to
from jobrunner_http.feed import FeedFullError
from jobrunner_http.problems import ProblemError
from jobrunner_http.site import Site

BEAT_S = 2.0
"""Seconds after which a stream that has nothing to say shows that it lives, and looks whether its token still is one."""

LIFE_S = 900.0
"""Seconds for which one stream lasts."""

LOOK_S = 0.5
"""Seconds between two looks at one job."""

AGAIN_S = 10
"""Seconds after which a stream may be asked for again where there are too many."""

HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

JobQueue = Annotated[str, QueryParameter(max_length=64, description="With `job`: the job's queue.")]
JobId = Annotated[str, QueryParameter(max_length=128, description="Follow one job instead of the queues.")]
LastId = Annotated[str, HeaderParameter(name="last-event-id", description="The id of the last event seen.")]


@get(
    "/api/events",
    opt=open_to(Role.VIEWER),
    tags=["events"],
    media_type="text/event-stream",
    responses={
        200: ResponseSpec(
            str, generate_examples=False, media_type="text/event-stream", description="Server-sent events."
        ),
        **problems(404),
    },
)
async def events(
    site: OnSite, caller: By, queue: JobQueue = "", job: JobId = "", last_id: LastId = ""
) -> Stream:
    """Stream what happens: `queues` events with each queue's numbers, or `job` events with one job as it moves."""
    if job or queue:
        await site.looking.job(caller, queue, job)
    if site.feed.is_full:
        raise ProblemError(429, "there are too many event streams", headers={"retry-after": str(AGAIN_S)})
    if job:
        told = _job_events(site, caller, queue, job)
    else:
        since_ms = int(last_id) if last_id.isascii() and last_id.isdigit() and len(last_id) < 16 else None
        told = _queue_events(site, caller, since_ms)
    return Stream(told, media_type="text/event-stream", headers=HEADERS)


async def _queue_events(site: Site, caller: Caller, since_ms: int | None) -> AsyncIterator[bytes]:
    # The place is taken in here: a stream whose client is gone before it begins is never begun, nor ended.
    ends = time.monotonic() + LIFE_S
    try:
        listener = await site.feed.join(caller, since_ms)
    except (FeedFullError, StoreError):
        return
    try:
        yield b"retry: 2000\n\n"
        while time.monotonic() < ends:
            try:
                async with asyncio.timeout(BEAT_S):
                    event = await listener.events.get()
            except TimeoutError:
                if not await _is_good(site, caller):
                    return
                yield b": still here\n\n"
                continue
            if event is None or not await _is_good(site, caller):
                return
            yield _said("queues", msgspec.json.encode(event), event.at)
    finally:
        site.feed.leave(listener)


async def _job_events(site: Site, caller: Caller, queue: str, job_id: str) -> AsyncIterator[bytes]:
    ends, before, beat = time.monotonic() + LIFE_S, b"", time.monotonic()
    with contextlib.suppress(FeedFullError), site.feed.place():
        yield b"retry: 2000\n\n"
        while time.monotonic() < ends and not site.feed.closed and await _is_good(site, caller):
            with contextlib.suppress(StoreError):
                try:
                    now = msgspec.json.encode(await site.looking.job(caller, queue, job_id))
                except JobNotFoundError:
                    yield _said("gone", b"{}")
                    return
                if now != before:
                    before, beat = now, time.monotonic()
                    yield _said("job", now)
            if time.monotonic() - beat > BEAT_S:
                beat = time.monotonic()
                yield b": still here\n\n"
            await asyncio.sleep(LOOK_S)


async def _is_good(site: Site, caller: Caller) -> bool:
    try:
        return await site.tokens.is_good(caller.token_id)
    except StoreError:
        return False


def _said(name: str, data: bytes, number: int | None = None) -> bytes:
    """An event as the wire has it; JSON holds no line break."""
    first = b"" if number is None else b"id: %d\n" % number
    return first + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


HANDLERS = (events,)
