"""The handler as a worker runs it: real payload, real resources, real steps, against the sandbox's platforms."""

import pytest

from jobrunner.testing import perform_job
from jobrunner_sandbox import SandboxServer

TOKEN = "EAAG-a-secret-token-77"


@pytest.fixture
def sandbox():
    with SandboxServer.in_thread() as server:
        yield server


def settings(sandbox, **more):
    urls = sandbox.services()
    return {
        **{f"{name}_url": urls[name] for name in ("graph", "linkedin", "x", "mastodon")},
        "media_gateway": urls["media"],
        "poll_interval": 0.1,
        **more,
    }


def post(*platforms, media=(), text="Open late this Friday"):
    return {
        "tenantId": "acme",
        "postId": "post-1",
        "scheduleId": "sched-1",
        "platforms": [
            {"platform": name, "accountId": f"{name}-acme", "credentials": {"accessToken": f"{TOKEN}-{name}"}}
            for name in platforms
        ],
        "content": {"hook": text, "body": "Come by.", "hashtags": ["late"], "mediaUrls": list(media)},
        "scheduledTime": "2026-01-01T08:00:00Z",
    }


async def publish(sandbox, payload, **more):
    return await perform_job(
        "publish.dispatch", payload, plugin="publish", settings=settings(sandbox), job_id="job-1", **more
    )


async def test_post_reaches_every_platform_once_and_the_result_names_it(sandbox):
    """The result is what an editor looks at: where the post is, and under which id."""
    payload = post(
        "facebook", "instagram", "linkedin", "x", "mastodon", media=["https://cdn.example.com/a.jpg"]
    )

    done = (await publish(sandbox, payload)).expect("completed")

    assert sandbox.ledger.counts() == dict.fromkeys(("facebook", "instagram", "linkedin", "mastodon", "x"), 1)
    for delivery in done.result["platforms"]:
        assert delivery["status"] == "posted"
        assert delivery["postId"]
        assert delivery["url"].startswith("http")
    assert done.progress[-1] == (1.0, "5 of 5")


async def test_retry_does_not_post_again_where_it_is_done(sandbox):
    """The second platform fails: the job is retried, and the first one is not called again."""
    payload = post("mastodon", "x")
    sandbox.faults.next("x", path="/2/tweets", status=503)

    first = await publish(sandbox, payload)
    assert first.outcome == "retried"
    assert sandbox.ledger.counts()["mastodon"] == 1
    again = await publish(sandbox, payload, attempt=2, steps=first.steps)

    again.expect("completed")
    assert (sandbox.ledger.counts()["mastodon"], sandbox.ledger.counts()["x"]) == (1, 1)


async def test_unknown_platform_discards_after_the_known_ones_were_served(sandbox):
    """One wrong word must not keep the post from the others."""
    done = await publish(sandbox, post("myspace", "x"))

    assert done.outcome == "failed"
    assert "myspace" in done.error.message
    assert sandbox.ledger.counts()["x"] == 1


async def test_platform_that_says_when_is_asked_again_then(sandbox):
    """A server's Retry-After is never shortened."""
    sandbox.faults.next("linkedin", status=429, retry_after=30)
    done = await publish(sandbox, post("linkedin"))
    assert done.outcome == "retried"
    assert 30 <= done.delay <= 33


async def test_token_that_was_revoked_is_given_up_and_the_others_are_served(sandbox):
    """No number of tries makes it good again."""
    payload = post("mastodon", "x")
    payload["platforms"][0]["credentials"]["accessToken"] = "revoked-token-1"
    done = await publish(sandbox, payload)
    assert done.outcome == "failed"
    assert sandbox.ledger.counts().get("x") == 1


@pytest.mark.parametrize("platform", ["facebook", "instagram", "linkedin", "mastodon", "x"])
async def test_answer_that_was_lost_makes_no_second_post(sandbox, platform):
    """Each platform's own way of telling: a key, a container's status, a refusal, a look at the feed."""
    payload = post(platform, media=["https://cdn.example.com/a.jpg"])
    path = {
        "facebook": "*/photos",
        "instagram": "*/media_publish",
        "linkedin": "/rest/posts",
        "x": "/2/tweets",
    }
    sandbox.faults.next(
        {"facebook": "graph", "instagram": "graph"}.get(platform, platform),
        path=path.get(platform, "/api/v1/statuses"),
        lost=True,
    )
    steps, attempt = {}, 1
    for attempt in range(1, 6):
        done = await publish(sandbox, payload, attempt=attempt, steps=steps)
        steps = done.steps
        if done.outcome == "completed":
            break

    done.expect("completed")
    assert sandbox.ledger.counts() == {platform: 1}
    assert sandbox.ledger.duplicates() == []


async def test_credentials_stand_nowhere_but_in_the_call(sandbox):
    """Results, steps, errors and log lines end up in tickets."""
    sandbox.faults.next("x", path="/2/tweets", status=500)
    done = await publish(sandbox, post("mastodon", "x"))
    told = repr((done.result, done.error, done.steps, done.logs, done.progress, done.exception))
    assert TOKEN not in told


async def test_contract_holds():
    """What every plugin promises: a stable schema, masked secrets, an import without effects."""
    from jobrunner.testing import check_plugin

    check_plugin("publish", examples={"publish.dispatch": [post("x")]})
