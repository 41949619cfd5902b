"""Facebook: what its feed tells about a post whose answer was lost, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from publish_desk import Desk, make_post

from jobrunner_publish import Account, AnswerLostError, RefusedError, UnknownOutcomeError
from jobrunner_publish.platforms import facebook
from jobrunner_sandbox import SandboxServer


async def lose_an_answer(desk: Desk, sandbox: SandboxServer, account: Account) -> None:
    sandbox.faults.next("graph", path="*/feed", method="POST", lost=True)
    with pytest.raises(AnswerLostError):
        await desk.publish(facebook, make_post(), account)


async def test_lost_answer_is_found_in_the_feed_below_a_newer_post(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Facebook refuses only a copy of the page's last post, so its refusal alone would not prevent a double."""
    page = account("facebook")
    await lose_an_answer(desk, sandbox, page)
    await desk.another().publish(facebook, make_post(body="Something newer.", job_id="job-2"), page)

    published = await desk.publish(facebook, make_post(), page)

    assert published.already
    assert published.post_id == sandbox.ledger.posts()[0].post_id
    assert len(sandbox.ledger.posts()) == 2


async def test_same_text_of_long_ago_is_not_taken_for_the_lost_post(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A shop says the same every week: last week's post must not keep this week's away."""
    page = account("facebook")
    await desk.another().publish(facebook, make_post(), page)
    await desk.another().publish(facebook, make_post(body="In between."), page)
    desk.clock.ahead_s = 7 * 86_400
    sandbox.faults.next("graph", path="*/feed", method="POST", status=500)
    with pytest.raises(AnswerLostError):
        await desk.publish(facebook, make_post(), page)

    published = await desk.publish(facebook, make_post(), page)

    assert not published.already
    assert len(sandbox.ledger.posts()) == 3


async def test_unreadable_feed_makes_the_lost_post_unknown(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Without the right to read the feed nothing tells, so the job says so rather than guess."""
    await lose_an_answer(desk, sandbox, account("facebook"))
    sandbox.faults.next("graph", path="*/feed", method="GET", status=403)

    with pytest.raises(UnknownOutcomeError, match="ON_UNKNOWN"):
        await desk.publish(facebook, make_post(), account("facebook"))

    assert len(sandbox.ledger.posts()) == 1


async def test_on_unknown_retry_sends_once_more(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Who prefers a double to a missing post says so; here Facebook refuses the double by itself."""
    desk.change(on_unknown="retry")
    await lose_an_answer(desk, sandbox, account("facebook"))
    sandbox.faults.next("graph", path="*/feed", method="GET", status=403)

    published = await desk.publish(facebook, make_post(), account("facebook"))

    assert published.already
    assert len(sandbox.ledger.posts()) == 1


async def test_refusal_as_a_duplicate_counts_as_posted(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The page has the post, whichever job made it."""
    await desk.another().publish(facebook, make_post(), account("facebook"))

    published = await desk.publish(facebook, make_post(), account("facebook"))

    assert published.already
    assert published.post_id == sandbox.ledger.posts()[0].post_id
    assert "duplicate" in published.note


async def test_page_id_may_be_a_credential(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Producers name accounts in their own way; the page's number then comes with the token."""
    await desk.publish(facebook, make_post(), account("facebook", pageId="1234567890"))

    assert sandbox.ledger.posts()[0].account == "1234567890"


async def test_private_media_address_is_not_handed_on(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Facebook fetches the pictures itself, and what is refused here is refused for it, too."""
    for url in ("http://127.0.0.1/a.jpg", "https://cdn.example.com:8443/a.jpg"):
        post = msgspec.structs.replace(make_post(), media_urls=(url,))
        with pytest.raises(RefusedError):
            await desk.publish(facebook, post, account("facebook"))

    assert sandbox.ledger.requests() == []
