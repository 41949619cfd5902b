"""The queues whose dashboard the pictures show: an agency's posts, images and messages, some of which go wrong."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from jobrunner import Discard, Job, Queue, RetryPolicy, Secret, hookimpl


class Post(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A post for one account."""

    tenant_id: str
    account: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    text: Annotated[str, msgspec.Meta(max_length=2200, description="As people will read it.")]
    access_token: Annotated[str, Secret] = ""
    platforms: tuple[str, ...] = ("instagram",)


class Picture(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A picture to draw."""

    tenant_id: str
    prompt: str
    width: Annotated[int, msgspec.Meta(ge=64, le=4096)] = 1080
    height: Annotated[int, msgspec.Meta(ge=64, le=4096)] = 1350


class Message(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A message to one person."""

    tenant_id: str
    to: str
    text: str


class PlatformError(Exception):
    """The platform answered with an error."""


async def publish(job: Job[Post]) -> dict[str, str]:
    """Publish, or fail in one of three ways."""
    await asyncio.sleep(0.12)
    job.log.info("publishing", account=job.payload.account, platforms=len(job.payload.platforms))
    match job.payload.account.rsplit("-", 1)[-1]:
        case "expired":
            raise Discard("the account's access token has expired; connect the account again")
        case "limited":
            raise _refused(429, "rate limit of the account reached, try again in 1 hour")
        case "odd":
            raise KeyError("permalink")
    return {"permalink": f"https://instagram.example/p/{job.id}"}


def _refused(status: int, why: str) -> PlatformError:
    return PlatformError(f"HTTP {status}: {why}")


async def render(job: Job[Picture]) -> dict[str, int]:
    """Draw in steps; a large picture takes as long as the scene."""
    job.log.info("prompt accepted", model="sketch-2", words=len(job.payload.prompt.split()))
    await job.step("sketch", _drawn, "sketch.png")
    await job.progress(0.25, "sketch done")
    await job.step("colours", _drawn, "colours.png")
    job.log.info("colours chosen", palette=["#1b3a57", "#e8b04a", "#f4ede4"])
    await job.progress(0.62, "painting tile 40 of 64")
    if job.payload.width >= 2048:
        job.log.warning("provider slow", waited_s=4.2)
        await asyncio.sleep(600)
    return {"bytes": 482_113}


async def _drawn(name: str) -> dict[str, str]:
    return {"file": name}


async def send(job: Job[Message]) -> str:
    """Send, at the second attempt for some."""
    await asyncio.sleep(0.01)
    if job.payload.text.startswith("flaky") and job.attempt < 3:
        await asyncio.sleep(0.35)
        raise ConnectionError("the gateway closed the connection")
    return "delivered"


@hookimpl
def jobrunner_queues() -> list[Queue]:
    """The scene's queues."""
    once = RetryPolicy(max_attempts=1)
    soon = RetryPolicy(max_attempts=4, base=2, factor=1.5, cap=3)
    return [
        Queue(
            "publish.post",
            Post,
            publish,
            retry=once,
            concurrency=20,
            priority=5,
            route="publish/post",
            max_active=40,
        ),
        Queue("publish.story", Post, publish, retry=once, concurrency=10),
        Queue("image.render", Picture, render, concurrency=4, max_waiting=5000, route="image/render"),
        Queue("whatsapp.send", Message, send, retry=soon, concurrency=20, priority=8),
        Queue("approval.remind", Message, send, concurrency=5),
        Queue("analytics.collect", Message, send, concurrency=5),
        Queue("content.generate", Picture, render, concurrency=2),
    ]
