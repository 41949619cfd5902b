"""What the ends of all accounts make of an attempt, and how an account's steps are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner import Discard, Retry
from jobrunner_publish import Delivery
from jobrunner_publish.handler import Postponed, PublishIncompleteError, conclude, step_key


def posted(platform: str) -> Delivery:
    return Delivery(
        platform=platform, account_id="acme", status="posted", post_id="1", url="https://example.com/1"
    )


def failed(platform: str) -> Delivery:
    return Delivery(platform=platform, account_id="acme", status="failed", reason="the token is bad")


def postponed(platform: str, retry_after: float | None = None) -> Postponed:
    return Postponed(platform=platform, account_id="acme", reason="it is away", retry_after=retry_after)


def test_result_names_each_account_in_order() -> None:
    """What a producer waits for: where the post is."""
    result = conclude([posted("x"), posted("mastodon")], post_id="post-1", attempt=1)

    assert [(one.platform, one.post_id) for one in result.platforms] == [("x", "1"), ("mastodon", "1")]


def test_permanent_failures_alone_discard_with_every_reason() -> None:
    """No attempt can change it, and whoever looks sees at once what is published and what is not."""
    with pytest.raises(Discard) as caught:
        conclude([posted("x"), failed("mastodon")], post_id="post-1", attempt=1)

    assert "1 of 2" in caught.value.reason
    assert "mastodon acme failed: the token is bad" in caught.value.reason
    assert "published: x acme" in caught.value.reason


def test_failure_that_may_pass_is_retried_beside_a_permanent_one() -> None:
    """The permanent one is a step and not tried again; the other one has its chances."""
    with pytest.raises(PublishIncompleteError, match="x acme: it is away"):
        conclude([postponed("x"), failed("mastodon")], post_id="post-1", attempt=1)


def test_longest_wait_that_a_platform_asks_for_is_kept() -> None:
    """Coming back for one platform too early would spend attempts, and goodwill, on the other."""
    with pytest.raises(Retry) as caught:
        conclude(
            [postponed("x", 40), postponed("linkedin", 900), postponed("mastodon")], post_id="p", attempt=1
        )

    assert caught.value.after == 900


def test_short_waits_grow_with_the_attempts() -> None:
    """A platform that always says "one second" must not burn all attempts in eight."""
    waits = []
    for attempt in (1, 5, 20):
        with pytest.raises(Retry) as caught:
            conclude([postponed("x", 1)], post_id="p", attempt=attempt)
        waits.append(caught.value.after)

    assert waits == [2, 32, 300]


@pytest.mark.parametrize("asked", [1e12, float("inf")])
def test_absurd_wait_of_an_adapter_is_a_day(asked: float) -> None:
    """An adapter of another distribution may hand on whatever its platform says."""
    with pytest.raises(Retry) as caught:
        conclude([postponed("x", asked)], post_id="p", attempt=1)

    assert caught.value.after == 86_400


@given(st.text(min_size=1, max_size=128))
def test_step_names_fit_and_leave_room_for_the_steps_within(account_id: str) -> None:
    """An account's id is the producer's, and a step's name has rules."""
    key = step_key("instagram", account_id)

    assert len(f"{key}:publish-1000-1000-end") <= 128
    assert key.isprintable()


@given(st.lists(st.text(min_size=1, max_size=128), min_size=2, max_size=8, unique=True))
def test_step_names_of_different_accounts_differ(account_ids: list[str]) -> None:
    """Two accounts that shared a step would be one post short."""
    assert len({step_key("x", account_id) for account_id in account_ids}) == len(account_ids)


def test_account_that_is_called_like_a_hidden_one_has_a_step_of_its_own() -> None:
    """A tenant that knows how long names are shortened must not take another account's step away."""
    hidden = step_key("x", "a" * 128)

    assert step_key("x", hidden.removeprefix("x:")) != hidden
