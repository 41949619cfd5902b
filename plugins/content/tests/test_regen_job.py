"""Rewriting one post: what changes, what stays, and who may ask."""

from __future__ import annotations

import pytest
from content_desk import Desk, month, single

from jobrunner_content import Post, PostStore, PostText
from jobrunner_sandbox import SandboxServer


@pytest.fixture(params=["template", "openai"])
async def written(request: pytest.FixtureRequest, desk: Desk, posts: PostStore) -> Post:
    """A month's first post, by either writer; it is for Instagram."""
    desk.writer = request.param
    (await desk.write(month(contentCount=2))).expect("completed")
    return await read(posts)


async def read(posts: PostStore, post_id: str = "december-001") -> Post:
    post = await posts.find("demo-tenant", post_id)
    assert post is not None
    return post


@pytest.mark.parametrize("part", ["hook", "body", "hashtags", "full"])
async def test_part_that_was_asked_for_is_rewritten_and_the_rest_stays(
    part: str, written: Post, desk: Desk, posts: PostStore
) -> None:
    """An editor who liked the rest must find it again."""
    done = (await desk.rewrite(single(regenerationType=part))).expect("completed")

    now = await read(posts)
    assert done.result == {"postId": "december-001", "regenerated": part, "version": 2}
    for name in ("hook", "body", "hashtags"):
        changed = getattr(now.text, name) != getattr(written.text, name)
        assert changed == (part in (name, "full")), name
    assert await posts.former("demo-tenant", "december-001") == [written.text]


async def test_same_job_twice_makes_one_version(written: Post, desk: Desk, posts: PostStore) -> None:
    """Its worker died after the change and before it said so."""
    await desk.rewrite(single())
    once = await read(posts)

    again = (await desk.rewrite(single(), attempt=2)).expect("completed")

    assert again.result["version"] == 2
    assert await read(posts) == once
    assert len(await posts.former("demo-tenant", "december-001")) == 1


async def test_each_job_makes_another_version(written: Post, desk: Desk, posts: PostStore) -> None:
    """Who asks again wants another text, also from the template writer."""
    hooks = {written.text.hook}
    for number in (1, 2, 3):
        done = (await desk.rewrite(single(), job_id=f"again-{number}")).expect("completed")
        assert done.result["version"] == number + 1
        hooks.add((await read(posts)).text.whole)

    assert len(hooks) == 4
    assert len(await posts.former("demo-tenant", "december-001")) == 3


async def test_text_is_not_asked_for_again_after_a_failure_of_the_store(
    desk: Desk, sandbox: SandboxServer, posts: PostStore
) -> None:
    """It is a step of its own."""
    await desk.write(month(contentCount=1))
    first = (await desk.rewrite(single())).expect("completed")
    asked = len(sandbox.ledger.generated("openai"))
    former = (await posts.former("demo-tenant", "december-001"))[0]
    await desk.write(month(contentCount=1), job_id="january")

    # The same steps at a post that is as the first one was: as if nothing had been stored.
    step = first.steps["text:1"]
    again = (
        await desk.rewrite(single(postId="january-001"), job_id="again-2", steps={"text:1": step})
    ).expect("completed")

    assert again.result["version"] == 2
    assert len(sandbox.ledger.generated("openai")) == asked + 1  # January's own
    assert (await read(posts, "january-001")).text == (await read(posts)).text != former


async def test_tone_and_style_reach_the_writer_and_the_posts_own_are_kept(
    desk: Desk, sandbox: SandboxServer
) -> None:
    """What was said of the month holds for a rewriting, unless something else is said."""
    await desk.write(month(contentCount=1))
    await desk.rewrite(single(), job_id="again-1")
    await desk.rewrite(single(preferences={"tone": "formal", "style": "short"}), job_id="again-2")

    _, own, other = (made.prompt for made in sandbox.ledger.generated("openai"))
    assert '"tone":"friendly"' in own
    assert '"topic":"winter coffee"' in own
    assert '"hashtags":["newin"]' in own
    assert '"tone":"formal"' in other
    assert '"style":"short"' in other


async def test_missing_post_and_another_tenants_post_are_told_in_the_same_words(
    desk: Desk, posts: PostStore, sandbox: SandboxServer
) -> None:
    """Whoever tries ids must not learn which exist."""
    await desk.write(month(contentCount=1))
    before = await read(posts)
    asked = len(sandbox.ledger.requests())

    foreign = await desk.rewrite(single(tenantId="other-tenant"))
    missing = await desk.rewrite(single(postId="december-999"))

    assert foreign.outcome == missing.outcome == "failed"
    assert foreign.error.message == "there is no post december-001"
    assert missing.error.message == "there is no post december-999"
    assert await read(posts) == before
    assert len(sandbox.ledger.requests()) == asked


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"brandId": "brand-9"}, "not of brand brand-9"), ({"platform": "x"}, "is for instagram, not for x")],
)
async def test_post_of_another_brand_or_platform_is_not_touched(
    change: dict[str, object], reason: str, desk: Desk, posts: PostStore
) -> None:
    """The producer has mixed something up, and a person has to look."""
    await desk.write(month(contentCount=1))
    before = await read(posts)

    done = await desk.rewrite(single(**change))

    assert done.outcome == "failed"
    assert reason in done.error.message
    assert await read(posts) == before


async def test_platform_may_be_spelt_in_any_case(desk: Desk) -> None:
    """As at enqueue of the month."""
    await desk.write(month(contentCount=1, platforms=["Instagram"]))

    (await desk.rewrite(single(platform="INSTAGRAM"))).expect("completed")


async def test_endpoint_that_is_away_or_limits_is_asked_again(desk: Desk, sandbox: SandboxServer) -> None:
    """And nothing is changed meanwhile."""
    await desk.write(month(contentCount=1))
    sandbox.faults.next("openai", status=503)
    away = await desk.rewrite(single())
    sandbox.faults.next("openai", status=429, retry_after=33)
    limited = await desk.rewrite(single())

    assert (away.outcome, limited.outcome) == ("retried", "retried")
    assert 33 <= limited.delay <= 36.4


@pytest.mark.parametrize("model", ["refusing", "no-such-model", "out-of-quota"])
async def test_text_that_will_never_be_written_is_given_up(model: str, desk: Desk, posts: PostStore) -> None:
    """No number of tries changes it, and the post stays as it is."""
    await desk.write(month(contentCount=1))
    before = await read(posts)
    desk.model = model

    done = await desk.rewrite(single())

    assert done.outcome == "failed"
    assert await read(posts) == before


async def test_text_that_was_written_for_an_older_version_is_not_used(
    desk: Desk, posts: PostStore, sandbox: SandboxServer
) -> None:
    """Another job rewrote the post in between: a new hook would meet a body that it was not made for."""
    await desk.write(month(contentCount=1))
    first = await desk.rewrite(single(regenerationType="hook"), job_id="again-1")
    asked = len(sandbox.ledger.generated("openai"))
    stale = {"text:1": {"hook": "Stale", "body": "Stale", "hashtags": []}}

    done = (await desk.rewrite(single(), job_id="again-2", steps=stale)).expect("completed")

    assert first.result["version"] == 2
    assert done.result["version"] == 3
    assert len(sandbox.ledger.generated("openai")) == asked + 1
    assert (await read(posts)).text != PostText(hook="Stale", body="Stale", hashtags=())
