"""Instagram: containers that take their time, fail, expire or are gone, and one publication all the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from publish_desk import Desk, make_post

from jobrunner_publish import (
    Account,
    AnswerLostError,
    Post,
    RefusedError,
    TransientError,
    UnknownOutcomeError,
)
from jobrunner_publish.platforms import instagram
from jobrunner_sandbox import Behaviour, SandboxServer


def post_of(*urls: str) -> Post:
    return msgspec.structs.replace(make_post(), media_urls=urls)


async def test_post_without_a_picture_is_refused_without_a_call(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Instagram has no text posts."""
    with pytest.raises(RefusedError, match="mediaUrls"):
        await desk.publish(instagram, make_post(), account("instagram"))

    assert sandbox.ledger.requests() == []


async def test_media_in_process_is_waited_for_by_later_attempts_with_the_same_container(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A slow video must not hold a slot for minutes, and coming back must not begin anew."""
    desk.change(poll_wait=0)
    sandbox.behaviour = Behaviour(publish_delay=600)
    with pytest.raises(TransientError, match="still being processed") as caught:
        await desk.publish(instagram, make_post(media=1), account("instagram"))
    assert caught.value.retry_after == 30
    desk.clock.ahead_s = 601

    await desk.publish(instagram, make_post(media=1), account("instagram"))

    made = [request for request in sandbox.ledger.requests("graph") if request.path.endswith("/media")]
    assert len(made) == 1
    assert len(sandbox.ledger.posts()) == 1


async def test_media_in_process_is_polled_within_an_attempt(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Pictures take a second or two: that is no reason for another attempt."""
    sandbox.behaviour = Behaviour(publish_delay=0.1)

    await desk.publish(instagram, make_post(media=2), account("instagram"))

    assert len(sandbox.ledger.posts()) == 1


@pytest.mark.parametrize("media", [1, 2])
async def test_media_that_cannot_be_processed_is_given_up_after_three_containers(
    media: int, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Instagram asks for a new container after an upload error, but not for ever."""
    urls = [f"https://cdn.example.com/container-error/{number}.jpg" for number in range(media)]

    with pytest.raises(RefusedError, match="could not process"):
        await desk.publish(instagram, post_of(*urls), account("instagram"))

    made = [request for request in sandbox.ledger.requests("graph") if request.path.endswith("/media")]
    assert len(made) == 3 * media
    assert sandbox.ledger.posts() == []


async def test_expired_container_is_made_anew(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """After a day of outage the container is worthless, and it is certain that it was not published."""
    sandbox.faults.next("graph", path="*/media_publish", status=500)
    with pytest.raises(AnswerLostError):
        await desk.publish(instagram, make_post(media=1), account("instagram"))
    desk.clock.ahead_s = 25 * 3600

    published = await desk.publish(instagram, make_post(media=1), account("instagram"))

    assert [there.post_id for there in sandbox.ledger.posts()] == [published.post_id]


async def test_container_that_is_gone_after_a_lost_answer_is_unknown(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The one witness is gone: a new container could be a second post."""
    sandbox.faults.next("graph", path="*/media_publish", lost=True)
    with pytest.raises(AnswerLostError):
        await desk.publish(instagram, make_post(media=1), account("instagram"))
    sandbox.faults.next("graph", method="GET", status=400)

    with pytest.raises(UnknownOutcomeError):
        await desk.publish(instagram, make_post(media=1), account("instagram"))

    assert len(sandbox.ledger.posts()) == 1


async def test_container_that_is_gone_before_it_was_sent_is_made_anew(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Nothing was sent, so nothing can be there; and looking must leave no trace that says otherwise."""
    desk.change(poll_wait=0)
    for _ in range(2):
        sandbox.faults.next("graph", method="GET", status=400)
        sandbox.faults.next("graph", method="GET", status=503)
        with pytest.raises(TransientError):
            await desk.publish(instagram, make_post(media=1), account("instagram"))

    published = await desk.publish(instagram, make_post(media=1), account("instagram"))

    assert not published.already
    assert len(sandbox.ledger.posts()) == 1


async def test_video_becomes_a_reel(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Instagram is told what is at an address by a field's name, so the address' ending decides."""
    url = "https://cdn.example.com/opening.mp4?width=1080"

    await desk.publish(instagram, post_of(url), account("instagram"))

    assert sandbox.ledger.posts()[0].media == (url,)


async def test_missing_permalink_is_no_failure(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The post is there; a failure would send it again."""
    sandbox.faults.next("graph", path="/v25.0/17900000000000002", method="GET", status=503)

    published = await desk.publish(instagram, make_post(media=1), account("instagram"))

    assert published.url == ""
    assert published.post_id == sandbox.ledger.posts()[0].post_id
