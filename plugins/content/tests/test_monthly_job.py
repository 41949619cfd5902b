"""A month as a worker writes it: real payload, real post store, real steps, and the sandbox's chat endpoint."""

from __future__ import annotations

from content_chat import Chat, Reply, completion
from content_desk import KEY, Desk, month

from jobrunner_content import PostStore, limits_of
from jobrunner_sandbox import SandboxServer


async def test_month_is_written_and_the_result_names_every_post(
    desk: Desk, posts: PostStore, sandbox: SandboxServer
) -> None:
    """The result is what a producer goes on with: the ids, by platform."""
    done = (await desk.write(month())).expect("completed")

    assert done.result == {
        "brandId": "brand-123",
        "year": 2024,
        "month": 12,
        "count": 6,
        "posts": {
            "instagram": ["december-001", "december-003", "december-005"],
            "x": ["december-002", "december-004", "december-006"],
        },
    }
    assert done.progress[-1] == (1.0, "6 of 6")
    assert len(sandbox.ledger.generated("openai")) == 6
    for number in range(1, 7):
        post = await posts.find("demo-tenant", f"december-{number:03d}")
        assert post is not None
        assert (post.day.year, post.day.month, post.brand_id) == (2024, 12, "brand-123")
        assert post.text.hook
        assert not limits_of(post.platform).problem(post.text)


async def test_retry_asks_only_for_the_posts_that_are_missing(desk: Desk, sandbox: SandboxServer) -> None:
    """Texts cost money, and a second one would be another text."""
    sandbox.faults.next("openai", status=500, times=2)

    first = await desk.write(month())
    again = (await desk.write(month(), attempt=2, steps=first.steps)).expect("completed")

    assert first.outcome == "retried"
    assert "2 of 6 posts not written" in first.error.message
    assert first.progress[-1][1] == "4 of 6"
    assert again.result["count"] == 6
    assert len(sandbox.ledger.generated("openai")) == 6
    assert len({made.prompt for made in sandbox.ledger.generated("openai")}) == 6


async def test_post_that_was_stored_without_its_step_is_not_asked_for_again(
    desk: Desk, posts: PostStore, sandbox: SandboxServer
) -> None:
    """A worker can die between the two: the post is there, and the step is not."""
    await desk.write(month())
    before = [await posts.find("demo-tenant", f"december-{number:03d}") for number in range(1, 7)]

    (await desk.write(month(), attempt=2)).expect("completed")

    assert len(sandbox.ledger.generated("openai")) == 6
    assert before == [await posts.find("demo-tenant", f"december-{number:03d}") for number in range(1, 7)]


async def test_rate_limit_at_the_first_post_is_waited_for(desk: Desk, sandbox: SandboxServer) -> None:
    """A server's Retry-After is never shortened, and no further call is made meanwhile."""
    sandbox.faults.next("openai", status=429, retry_after=40)

    done = await desk.write(month())

    assert done.outcome == "retried"
    assert 40 <= done.delay <= 44.1
    assert len(sandbox.ledger.requests("openai")) == 1


async def test_rate_limit_after_some_posts_spends_no_attempt(desk: Desk, sandbox: SandboxServer) -> None:
    """Two hundred posts at three a minute would run out of attempts, though every one of them gets on."""
    limited = Reply(status=429, headers={"retry-after": "20"})
    with Chat(lambda number: completion() if number < 4 else limited) as chat:
        desk.openai_url = chat.url
        first = await desk.write(month())
        stuck = await desk.write(month(), attempt=1, steps=first.steps)

    assert (first.outcome, first.delay, len(first.steps)) == ("snoozed", 20, 3)
    assert stuck.outcome == "retried"
    assert len(chat.asked) == 5


async def test_posts_that_fail_one_after_the_other_end_the_attempt(
    desk: Desk, sandbox: SandboxServer
) -> None:
    """An endpoint that is down takes a minute to say so, two hundred times."""
    sandbox.faults.next("openai", status=503, times=50)

    done = await desk.write(month(contentCount=40))

    assert done.outcome == "retried"
    assert len(sandbox.ledger.requests("openai")) == 5


async def test_key_that_is_not_taken_gives_up_at_once_and_names_the_setting(
    desk: Desk, sandbox: SandboxServer
) -> None:
    """No number of tries makes it good, and the operator has to know where it is set."""
    desk.key = "revoked-key-123"

    done = await desk.write(month())

    assert done.outcome == "failed"
    assert "JOBRUNNER_CONTENT_OPENAI_KEY" in done.error.message
    assert len(sandbox.ledger.requests("openai")) == 1


async def test_refused_posts_fail_the_job_once_the_others_are_written(
    desk: Desk, sandbox: SandboxServer, posts: PostStore
) -> None:
    """One topic that the model does not like must not cost the rest of the month."""
    sandbox.faults.next("openai", status=400)

    done = await desk.write(month())

    assert done.outcome == "failed"
    assert "1 of 6 posts not written; post 1:" in done.error.message
    assert await posts.find("demo-tenant", "december-001") is None
    assert await posts.find("demo-tenant", "december-006") is not None


async def test_posts_of_one_job_id_are_not_taken_for_another_months(desk: Desk) -> None:
    """Ids are forgotten after a while, and then a producer can use one again: the posts' ids would be the same."""
    await desk.write(month())

    done = await desk.write(month(month=1))

    assert done.outcome == "failed"
    assert "another job id" in done.error.message


async def test_key_stands_nowhere_but_in_the_call(desk: Desk, sandbox: SandboxServer) -> None:
    """Results, steps, errors and log lines end up in tickets."""
    sandbox.faults.next("openai", status=500)

    done = await desk.write(month())

    told = repr((done.result, done.error, done.steps, done.logs, done.progress, done.exception))
    assert KEY not in told


async def test_template_writer_needs_no_service(desk: Desk, sandbox: SandboxServer, posts: PostStore) -> None:
    """The default works as installed: a whole month, no two posts alike, and the wishes are honoured."""
    desk.writer = "template"

    done = (await desk.write(month(contentCount=60))).expect("completed")

    assert done.result["count"] == 60
    assert sandbox.ledger.requests() == []
    texts = [await posts.find("demo-tenant", f"december-{number:03d}") for number in range(1, 61)]
    assert len({post.text.whole for post in texts if post}) == 60
    for post in texts:
        assert post is not None
        assert "winter coffee" in post.text.whole.lower()
        assert post.text.hashtags[0] == "newin"
