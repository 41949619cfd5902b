"""Mastodon: the key that makes sending again safe, for an hour, and the instances that a token may go to."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from publish_desk import Desk, make_post

from jobrunner_publish import Account, AnswerLostError, RefusedError, TransientError, UnknownOutcomeError
from jobrunner_publish.platforms import mastodon
from jobrunner_sandbox import Behaviour, SandboxServer


async def lose_an_answer(desk: Desk, sandbox: SandboxServer, account: Account) -> None:
    sandbox.faults.next("mastodon", path="/api/v1/statuses", lost=True)
    with pytest.raises(AnswerLostError):
        await desk.publish(mastodon, make_post(), account)


async def test_lost_answer_is_given_again_for_the_same_key(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Within the hour the instance answers with the first status, so nothing has to be guessed."""
    await lose_an_answer(desk, sandbox, account("mastodon"))
    desk.clock.ahead_s = 40 * 60

    published = await desk.publish(mastodon, make_post(), account("mastodon"))

    assert [there.post_id for there in sandbox.ledger.posts()] == [published.post_id]


async def test_lost_answer_is_unknown_once_the_key_is_forgotten(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """After an hour the same key makes a second status, so the job says unknown instead."""
    await lose_an_answer(desk, sandbox, account("mastodon"))
    desk.clock.ahead_s = 2 * 3600

    with pytest.raises(UnknownOutcomeError):
        await desk.publish(mastodon, make_post(), account("mastodon"))

    assert len(sandbox.ledger.posts()) == 1


async def test_long_outage_is_not_mistaken_for_a_lost_answer(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """Hours of 503 say clearly that nothing was posted, and then the post goes out."""
    for hour in range(3):
        desk.clock.ahead_s = hour * 3600
        sandbox.faults.next("mastodon", path="/api/v1/statuses", status=503)
        with pytest.raises(TransientError):
            await desk.publish(mastodon, make_post(), account("mastodon"))

    await desk.publish(mastodon, make_post(), account("mastodon"))

    assert len(sandbox.ledger.posts()) == 1


async def test_first_lost_answer_counts_however_many_attempts_follow(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """The key's hour begins with the status that is there, not with the last attempt."""
    await lose_an_answer(desk, sandbox, account("mastodon"))
    desk.clock.ahead_s = 45 * 60
    sandbox.faults.next("mastodon", path="/api/v1/statuses", status=503)
    with pytest.raises(TransientError):
        await desk.publish(mastodon, make_post(), account("mastodon"))
    desk.clock.ahead_s = 65 * 60

    with pytest.raises(UnknownOutcomeError):
        await desk.publish(mastodon, make_post(), account("mastodon"))

    assert len(sandbox.ledger.posts()) == 1


async def test_worker_that_died_while_sending_leaves_a_trace(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """A killed worker can note nothing afterwards, so the note is made before."""
    await desk.publish(mastodon, make_post(), account("mastodon"))
    desk.clock.ahead_s = 2 * 3600

    with pytest.raises(
        UnknownOutcomeError
    ):  # this desk never settled the step: to it the first run just ended
        await desk.publish(mastodon, make_post(), account("mastodon"))


async def test_keys_differ_between_jobs_and_accounts_and_not_between_attempts(
    account: Callable[..., Account],
) -> None:
    """One key for two posts would swallow the second; two keys for one would double it."""
    first = mastodon.idempotency_key(make_post(), account("mastodon"))

    assert mastodon.idempotency_key(make_post(), account("mastodon")) == first
    assert mastodon.idempotency_key(make_post(job_id="job-2"), account("mastodon")) != first
    assert mastodon.idempotency_key(make_post(), account("mastodon-2")) != first


async def test_media_in_process_is_waited_for(
    desk: Desk, sandbox: SandboxServer, account: Callable[..., Account]
) -> None:
    """An instance takes no status whose media is not ready."""
    sandbox.behaviour = Behaviour(publish_delay=0.1)

    await desk.publish(mastodon, make_post(media=2), account("mastodon"))

    assert len(sandbox.ledger.posts()[0].media) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example",
        "http://fosstodon.org",
        "https://fosstodon.org:8443",
        "https://fosstodon.org@evil.example",
        "https://fosstodon.org.evil.example",
        "https://fosstodon.org/path",
        "https://127.0.0.1",
        "ftp://fosstodon.org",
        "https://[",
    ],
)
async def test_instance_that_is_not_allowed_gets_no_token(
    url: str, desk: Desk, account: Callable[..., Account]
) -> None:
    """A tenant names the instance, and with it the host that the worker sends requests to."""
    desk.change(mastodon_instances=("fosstodon.org",))

    with pytest.raises(RefusedError, match="Mastodon: the"):
        await desk.publish(mastodon, make_post(), account("mastodon", instanceUrl=url))


def test_allowed_instance_is_used_in_any_spelling(desk: Desk, account: Callable[..., Account]) -> None:
    """Host names have no case."""
    desk.change(mastodon_instances=("fosstodon.org",))

    for url in ("https://fosstodon.org", "https://Fosstodon.org/", "https://fosstodon.org:443"):
        assert (
            mastodon.instance(account("mastodon", instanceUrl=url), desk.settings) == "https://fosstodon.org"
        )
    assert mastodon.instance(account("mastodon"), desk.settings) == desk.settings.mastodon_url


async def test_credential_of_the_wrong_kind_is_refused(desk: Desk, account: Callable[..., Account]) -> None:
    """Credentials are an open map, so each is checked where it is used."""
    with pytest.raises(RefusedError, match="instanceUrl must be text"):
        await desk.publish(
            mastodon, make_post(), account("mastodon", instanceUrl=["https://mastodon.social"])
        )


async def test_text_that_the_instance_finds_too_long_is_given_up(
    desk: Desk, account: Callable[..., Account]
) -> None:
    """Each instance has a limit of its own, so the instance judges."""
    post = msgspec.structs.replace(make_post(), body="a" * 501)

    with pytest.raises(RefusedError, match="character limit"):
        await desk.publish(mastodon, post, account("mastodon"))
