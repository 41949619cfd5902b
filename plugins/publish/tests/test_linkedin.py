"""LinkedIn: its notation, its authors, and where the token may go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from publish_desk import Canned, Desk, make_post

from jobrunner_publish import Account, RefusedError, TransientError
from jobrunner_publish.platforms import linkedin
from jobrunner_sandbox import SandboxServer


async def test_reserved_characters_and_hashtags_survive(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """LinkedIn takes (, [, {, @ and others for notation, and cuts a post off there without an error."""
    post = make_post(body="(today) [only] {50 %} @home #1 a*b_c~d <b> \\ | https://example.com/?a=1&b=2#c")

    await desk.publish(linkedin, post, account("linkedin"))

    assert sandbox.ledger.posts()[0].text == post.text


async def test_refusal_as_a_duplicate_counts_as_posted_and_names_the_post(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """LinkedIn says which post was there before, so the job can say so, too."""
    await desk.another().publish(linkedin, make_post(), account("linkedin"))

    published = await desk.publish(linkedin, make_post(), account("linkedin"))

    assert published.already
    assert published.post_id == sandbox.ledger.posts()[0].post_id
    assert published.url.endswith(published.post_id)


@pytest.mark.parametrize(
    ("credentials", "author"),
    [
        ({}, "urn:li:organization:linkedin-acme"),
        ({"authorUrn": "urn:li:person:Ab_1-2"}, "urn:li:person:Ab_1-2"),
        ({"authorUrn": "4711"}, "urn:li:organization:4711"),
    ],
)
async def test_author_is_the_credential_or_the_account(
    credentials: dict[str, object],
    author: str,
    desk: Desk,
    sandbox: SandboxServer,
    account: Callable[..., Account],
) -> None:
    """A person posts under a URN of its own, an organisation's id is enough."""
    await desk.publish(linkedin, make_post(), account("linkedin", **credentials))

    assert sandbox.ledger.posts()[0].account == author


async def test_author_that_is_none_is_refused_without_a_call(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A URN goes into the body and into messages, so its form is checked here."""
    with pytest.raises(RefusedError, match="authorUrn"):
        await desk.publish(linkedin, make_post(), account("linkedin", authorUrn="urn:li:share:1"))

    assert sandbox.ledger.requests() == []


async def test_version_that_is_no_longer_served_is_tried_again(
    desk: Desk, account: Callable[..., Account]
) -> None:
    """That is the operator's to change, and posts must not be given up for it meanwhile."""
    desk.change(linkedin_version="202301")

    with pytest.raises(TransientError, match="JOBRUNNER_PUBLISH_LINKEDIN_VERSION"):
        await desk.publish(linkedin, make_post(), account("linkedin"))


async def test_token_goes_to_no_other_host_with_an_upload(
    desk: Desk, canned: Canned, account: Callable[..., Account]
) -> None:
    """LinkedIn names the upload's address; whoever could change that answer must not get the token."""
    body = b'{"value": {"uploadUrl": "https://linkedin.com.evil.example/up", "image": "urn:li:image:1"}}'
    canned.reply(200, body, content_type="application/json")
    desk.change(linkedin_url=canned.url)

    with pytest.raises(RefusedError, match="not its own"):
        await desk.publish(linkedin, make_post(media=1), account("linkedin"))
