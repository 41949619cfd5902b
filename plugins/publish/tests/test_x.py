"""X: its way of counting, and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from publish_desk import Canned, Desk, make_post

from jobrunner_publish import Account, AnswerLostError, RefusedError, TransientError
from jobrunner_publish.platforms import x
from jobrunner_sandbox import SandboxServer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("plain", 5),
        ("\u00dcn\u00efc\u00f6d\u00e9", 7),
        ("Cafe\u0301", 4),
        ("\u6771\u4eac", 4),
        ("\U0001f469\U0001f3fd\u200d\U0001f680", 2),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 4),
        ("\u2615\ufe0f!", 3),
        ("see https://example.com/a/very/long/path?that=goes&on=1#and-on", 4 + 23),
    ],
)
def test_weight_is_counted_as_x_counts(text: str, expected: int) -> None:
    """X counts an address as 23, an emoji as 2 and a Chinese character as 2, not characters."""
    assert x.weight(text) == expected


async def test_text_that_is_too_long_is_refused_and_never_cut(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Half a sentence under a brand's name is worse than a job that says what is wrong."""
    with pytest.raises(RefusedError, match="weighted length"):
        await desk.publish(x, make_post(body="a" * 281), account("x"))

    assert sandbox.ledger.requests() == []


async def test_longer_texts_are_a_setting(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Paid accounts may write more; X itself, here the sandbox, still judges."""
    desk.change(x_length=4000)

    with pytest.raises(RefusedError, match="too long"):
        await desk.publish(x, make_post(body="a" * 281), account("x"))

    assert [request.path for request in sandbox.ledger.requests()] == ["/2/tweets"]


async def test_fifth_picture_is_refused_without_a_call(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Leaving one out without a word would change what was approved."""
    with pytest.raises(RefusedError, match="4 pictures"):
        await desk.publish(x, make_post(media=5), account("x"))

    assert sandbox.ledger.requests() == []


async def test_refusal_as_a_duplicate_counts_as_posted(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The account has that text already; which job posted it is in the note."""
    await desk.another().publish(x, make_post(), account("x"))

    published = await desk.publish(x, make_post(), account("x"))

    assert published.already
    assert "duplicate" in published.note
    assert len(sandbox.ledger.posts()) == 1


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b"[" * 100_000, b'{"data": "\xff"}'])
async def test_answer_that_cannot_be_read_is_a_lost_answer(
    desk: Desk, canned: Canned, account: Callable[..., Account], body: bytes
) -> None:
    """A 200 says that it was done; without an id it is not known what, and it is not done twice blindly."""
    canned.reply(200, body)
    desk.change(x_url=canned.url)

    with pytest.raises(AnswerLostError):
        await desk.publish(x, make_post(), account("x"))


async def test_refusal_that_nests_without_end_is_judged_by_its_status(
    desk: Desk, canned: Canned, account: Callable[..., Account]
) -> None:
    """It is no bug of the adapter's, and the status says enough."""
    canned.reply(403, b'{"a":' * 100_000)
    desk.change(x_url=canned.url)

    with pytest.raises(RefusedError):
        await desk.publish(x, make_post(), account("x"))


async def test_token_is_in_the_authorization_header_and_nowhere_else(
    desk: Desk, canned: Canned, account: Callable[..., Account]
) -> None:
    """Addresses end up in logs of proxies, a header does not."""
    canned.reply(201, b'{"data": {"id": "1"}}')
    desk.change(x_url=canned.url)

    await desk.publish(x, make_post(), account("x"))

    (request,) = canned.received
    assert request.count(b"EAAGsecret123456") == 1
    assert b"\r\nauthorization: bearer eaagsecret123456\r\n" in request.lower()


async def test_redirect_is_not_followed(
    desk: Desk, canned: Canned, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The token would go along to wherever the answer points."""
    canned.reply(307, location=f"{sandbox.services()['x']}/2/tweets")
    desk.change(x_url=canned.url)

    with pytest.raises(RefusedError, match="307"):
        await desk.publish(x, make_post(), account("x"))

    assert sandbox.ledger.requests() == []


async def test_reset_is_compared_with_the_servers_own_clock(
    desk: Desk, canned: Canned, account: Callable[..., Account]
) -> None:
    """A worker whose clock is years off waits as long as any other."""
    canned.reply(
        429,
        b'{"title": "Too Many Requests"}',
        x_rate_limit_reset="1000000090",
        date="Sun, 09 Sep 2001 01:46:40 GMT",
    )
    desk.change(x_url=canned.url)

    with pytest.raises(TransientError) as caught:
        await desk.publish(x, make_post(), account("x"))

    assert caught.value.retry_after == 90
