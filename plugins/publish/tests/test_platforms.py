"""What every platform has in common: one post, one look at the ledger, and each way to fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from publish_desk import Desk, make_post

from jobrunner_publish import (
    Account,
    Adapter,
    AnswerLostError,
    RefusedError,
    TransientError,
)
from jobrunner_publish.registry import load_platforms
from jobrunner_sandbox import SandboxServer

ADAPTERS = load_platforms()
SERVICES = {
    "facebook": "graph",
    "instagram": "graph",
    "linkedin": "linkedin",
    "x": "x",
    "mastodon": "mastodon",
}
SENDING = {
    "facebook": "*/feed",
    "instagram": "*/media_publish",
    "linkedin": "/rest/posts",
    "x": "/2/tweets",
    "mastodon": "/api/v1/statuses",
}

each_platform = pytest.mark.parametrize("name", sorted(SERVICES))


def adapter_of(name: str) -> Adapter:
    found = ADAPTERS.find(name)
    assert found is not None
    return found


@each_platform
async def test_post_with_pictures_arrives_once_with_its_text(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The main thing: text and pictures are there, and the job learns the id and the address."""
    post = make_post(media=3)

    published = await desk.publish(adapter_of(name), post, account(name))

    (there,) = sandbox.ledger.posts()
    assert (there.platform, there.text, len(there.media)) == (name, post.text, 3)
    assert published.post_id == there.post_id
    assert published.url.startswith("http")
    assert not published.already


@each_platform
async def test_outage_before_the_effect_is_tried_again(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A 503 says that nothing was done, so the next attempt posts and nothing is there twice."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", status=503)
    post = make_post(media=1)

    with pytest.raises(TransientError) as caught:
        await desk.publish(adapter_of(name), post, account(name))
    assert not isinstance(caught.value, AnswerLostError)
    published = await desk.publish(adapter_of(name), post, account(name))

    assert not published.already
    assert [there.post_id for there in sandbox.ledger.posts()] == [published.post_id]


@each_platform
async def test_lost_answer_does_not_double_the_post(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The post is there and nobody said so: the next attempt finds out by each platform's own means."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", lost=True)
    post = make_post(media=2)

    with pytest.raises(AnswerLostError):
        await desk.publish(adapter_of(name), post, account(name))
    published = await desk.publish(adapter_of(name), post, account(name))

    (there,) = sandbox.ledger.posts()
    # Mastodon answers a repeated key as if for the first time, and X does not say which post it was.
    assert published.already == (name != "mastodon")
    assert published.post_id == ("" if name == "x" else there.post_id)


@each_platform
async def test_server_error_counts_as_a_lost_answer(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A 500 can come after the effect, so it is treated with the same care; here nothing was done."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", status=500)
    post = make_post(media=1)

    with pytest.raises(AnswerLostError):
        await desk.publish(adapter_of(name), post, account(name))
    published = await desk.publish(adapter_of(name), post, account(name))

    assert [there.post_id for there in sandbox.ledger.posts()] == [published.post_id]


@each_platform
async def test_rate_limit_passes_on_the_wait(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Each platform says in its own header when it takes requests again; asking earlier makes it worse."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", status=429, retry_after=120)

    with pytest.raises(TransientError) as caught:
        await desk.publish(adapter_of(name), make_post(media=1), account(name))

    assert caught.value.retry_after == pytest.approx(120, abs=2)
    assert sandbox.ledger.posts() == []


@each_platform
@pytest.mark.parametrize("status", [401, 403])
async def test_bad_token_and_missing_permission_are_given_up(
    name: str, status: int, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Trying again would fail in the same way and can get the app blocked; the message says what helps."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", status=status)

    with pytest.raises(RefusedError) as caught:
        await desk.publish(adapter_of(name), make_post(media=1), account(name))

    assert "EAAGsecret" not in str(caught.value)
    assert sandbox.ledger.posts() == []


@each_platform
@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "t\u00f6ken"])
async def test_token_that_no_header_can_carry_is_refused_without_a_call(
    name: str, token: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Such a token would end in an error text that quotes it."""
    with pytest.raises(RefusedError, match="accessToken") as caught:
        await desk.publish(adapter_of(name), make_post(media=1), account(name, accessToken=token))

    assert not token or token not in str(caught.value)
    assert sandbox.ledger.requests() == []


@each_platform
async def test_pictures_are_uploaded_once_over_all_attempts(
    name: str, desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Uploads are steps of their own: a retry sends the same ids, which duplicates are recognised by."""
    sandbox.faults.next(SERVICES[name], path=SENDING[name], method="POST", status=503, times=2)
    post = make_post(media=2)
    for _ in range(2):
        with pytest.raises(TransientError):
            await desk.publish(adapter_of(name), post, account(name))
    await desk.publish(adapter_of(name), post, account(name))

    paths = [
        request.path
        for request in sandbox.ledger.requests(SERVICES[name])
        if request.method in ("POST", "PUT")
    ]
    uploads = [path for path in paths if not path.endswith(SENDING[name].lstrip("*"))]
    # Two photos; Instagram has the carousel besides, and LinkedIn announces each upload first.
    assert len(uploads) == {"instagram": 3, "linkedin": 4}.get(name, 2)


@each_platform
async def test_unreachable_platform_is_tried_again(
    name: str, desk: Desk, account: Callable[..., Account], unused_tcp_port: int
) -> None:
    """Nothing listens: no byte was sent, so it is certain that nothing was done."""
    nowhere = f"http://127.0.0.1:{unused_tcp_port}"
    desk.change(graph_url=nowhere, linkedin_url=nowhere, x_url=nowhere, mastodon_url=nowhere)

    with pytest.raises(TransientError, match="cannot be reached") as caught:
        await desk.publish(adapter_of(name), make_post(media=int(name == "instagram")), account(name))

    assert not isinstance(caught.value, AnswerLostError)
