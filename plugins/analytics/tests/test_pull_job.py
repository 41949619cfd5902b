"""The handler as a worker runs it: real payload, real resources, real steps, a real table, against the sandbox."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from analytics_world import PAGE, TOKEN

from jobrunner.testing import Harness, perform_job
from jobrunner_analytics import Analytics, DateRange, SyncAnalytics

ALL = ("facebook", "instagram", "linkedin", "x", "mastodon")


def payload(*platforms, metrics=("likes", "comments"), **changes):
    now = datetime.now(UTC)
    return {
        "tenantId": "acme",
        "brandId": "brand-1",
        "platforms": list(platforms),
        "dateRange": {
            "startDate": (now - timedelta(days=30)).isoformat(),
            "endDate": (now + timedelta(hours=1)).isoformat(),
        },
        "metrics": list(metrics),
        **changes,
    }


async def pull(world, job, *, settings=None, **more):
    return await perform_job(
        "analytics.pull",
        job,
        plugin="analytics",
        settings=world.settings(**(settings or {})),
        job_id="job-1",
        **more,
    )


def fill(world):
    world.publish("facebook", f"{PAGE}_1")
    world.publish("instagram", "17900000000000001")
    world.publish("linkedin", "urn:li:share:1")
    world.publish("x", "1900")
    return world.toot()


async def test_figures_of_every_platform_are_in_the_table(world):
    """The result says how many, the table has them by the same names on every platform."""
    status = fill(world)

    done = (await pull(world, payload(*ALL))).expect("completed")

    assert done.result["rows"] == dict.fromkeys(ALL, 2)
    assert "failed" not in done.result
    posts = [
        ("facebook", f"{PAGE}_1"),
        ("instagram", "17900000000000001"),
        ("linkedin", "urn:li:share:1"),
        ("mastodon", status),
        ("x", "1900"),
    ]
    expected = [(*post, metric) for post in posts for metric in ("comments", "likes")]
    assert world.rows("platform, post, metric") == expected
    assert done.progress[-1] == (1.0, "5 of 5")
    assert {line["event"] for line in done.logs} == {"account.pulled"}


async def test_second_pull_of_a_day_writes_over_the_first(world):
    """The same key, the newer value: pulling twice doubles nothing."""
    fill(world)
    await pull(world, payload(*ALL))
    with sqlite3.connect(world.database) as connection:
        connection.execute("update metrics set value = -1")
    connection.close()

    await pull(world, payload(*ALL))

    assert len(world.rows()) == 10
    assert all(value > 0 for (*_, value) in world.rows())


async def test_one_metric_under_two_names_is_two_rows_of_one_source(world):
    """`impressions` and `views` are the same number on some platforms; each asker finds its own."""
    world.publish("facebook", f"{PAGE}_1")

    await pull(world, payload("facebook", metrics=["views", "impressions", "facebook:post_media_view"]))

    rows = world.rows("metric, source, brand, account, value")
    assert [row[:4] for row in rows] == [
        (metric, "post_media_view", "brand-1", PAGE) for metric in ("impressions", "post_media_view", "views")
    ]
    assert len({row[4] for row in rows}) == 1


async def test_metric_that_a_platform_does_not_have_is_told(world):
    """Nothing is in the table, and the result says why."""
    fill(world)

    done = (await pull(world, payload("mastodon", "x", metrics=["reach", "likes"]))).expect("completed")

    assert {one["platform"]: one["unsupported"] for one in done.result["pulls"]} == {
        "mastodon": ["reach"],
        "x": ["reach"],
    }


async def test_nothing_that_a_platform_has_is_no_call(world):
    """A job with one platform's metrics does not bother the others."""
    done = (await pull(world, payload("mastodon", metrics=["reach"]))).expect("completed")

    assert done.result["rows"] == {"mastodon": 0}
    assert world.server.ledger.requests() == []


async def test_retry_goes_on_with_the_post_that_failed(world):
    """A rate limit in the middle of a large account costs one call, and no attempt, since the job got on."""
    for number in range(60):
        world.publish("facebook", f"{PAGE}_{number}", age_days=1 + number / 100)
    job = payload("facebook", metrics=["views"])
    world.server.faults.next("graph", path=f"/v25.0/{PAGE}_30/insights", status=429, retry_after=120)

    first = await pull(world, job)
    assert first.outcome == "snoozed"
    assert 120 <= first.delay <= 132
    assert len(world.rows()) == 29  # the newest come first
    before = len(world.server.ledger.requests())
    again = await pull(world, job, steps=first.steps)

    assert again.expect("completed").result["rows"] == {"facebook": 60}
    assert len(world.rows()) == 60
    assert len(world.server.ledger.requests()) - before == 2 + 31  # two lists, and the posts that were left


def media(world, count, *, platform="instagram"):
    ids = [
        f"{PAGE}_{number}" if platform == "facebook" else f"1790000000000{number:04d}"
        for number in range(count)
    ]
    for number, post_id in enumerate(ids):
        world.publish(platform, post_id, age_days=1 + number / 100)
    return ids


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("platform", ["facebook", "instagram"])
async def test_calls_that_fail_repeat_only_themselves(world, platform, by_id):
    """Each post's figures are a call of their own: one in three fails once, and no other is made twice."""
    ids = media(world, 40, platform=platform)
    for post_id in ids[1::3]:
        world.server.faults.next("graph", path=f"/v25.0/{post_id}/insights", status=500)
    job = payload(platform, metrics=["views"], **({"postIds": ids} if by_id else {}))

    done = (await pull(world, job)).expect("completed")

    assert done.result["rows"] == {platform: 40}
    assert len(world.rows()) == 40
    asked = [one.path for one in world.server.ledger.requests("graph") if one.path.endswith("/insights")]
    assert {path.split("/")[-2]: asked.count(path) for path in asked} == {
        post_id: 2 if number % 3 == 1 else 1 for number, post_id in enumerate(ids)
    }


async def test_post_that_always_fails_uses_up_the_attempts_and_keeps_the_others(world):
    """A job must end: an attempt in which nothing came through is spent."""
    ids = media(world, 5)
    for _ in range(4):
        world.server.faults.next("graph", path=f"/v25.0/{ids[3]}/insights", status=500)
    job = payload("instagram", metrics=["views"])

    first = await pull(world, job)
    second = await pull(world, job, steps=first.steps)

    assert (first.outcome, second.outcome) == ("snoozed", "retried")
    assert world.rows("post") == [(ids[4],)]  # the newest comes first


async def test_post_at_which_a_page_was_cut_may_be_gone_when_it_goes_on(world):
    """Somebody deletes a post between two attempts: the page is read again as a whole, and nothing is left out."""
    ids = media(world, 5)
    world.server.faults.next("graph", path=f"/v25.0/{ids[3]}/insights", status=429, retry_after=1)
    job = payload("instagram", metrics=["views"])
    first = await pull(world, job)
    steps = {name: {**step, "next_cursor": "|17999999999999999"} for name, step in first.steps.items()}

    (await pull(world, job, steps=steps)).expect("completed")

    assert len(world.rows()) == 5


async def test_bad_token_gives_that_account_up_and_the_others_are_served(world):
    """The reason names the entry to mend, and never the token."""
    fill(world)
    world.entries[0]["token"] = "revoked-token-1"
    world.write()

    done = (await pull(world, payload(*ALL))).expect("completed")

    assert done.result["failed"] == ["facebook"]
    assert done.result["rows"] == {**dict.fromkeys(ALL, 2), "facebook": 0}
    (failed,) = [one for one in done.result["pulls"] if one["status"] == "failed"]
    assert "entry 1 of accounts.json (acme, brand-1, facebook" in failed["reason"]
    assert ("account.given_up", "error") in [(line["event"], line["level"]) for line in done.logs]
    assert "revoked-token-1" not in repr((done.result, done.logs, done.steps))


async def test_all_that_fail_discard_with_every_reason(world):
    """Nothing was read, and no attempt can change it."""
    done = await pull(world, payload("facebook", "myspace", tenantId="nobody"))

    assert done.outcome == "failed"
    assert (
        "facebook: the accounts file has no account for tenant 'nobody', brand 'brand-1'"
        in done.error.message
    )
    assert "no installed platform is named 'myspace'" in done.error.message


async def test_platform_without_account_is_told_and_the_others_are_served(world):
    """One missing entry must not keep the figures of the others away."""
    fill(world)
    world.entries = [entry for entry in world.entries if entry["platform"] != "x"]
    world.write()

    done = (await pull(world, payload("x", "facebook"))).expect("completed")

    assert (done.result["failed"], done.result["rows"]) == (["x"], {"x": 0, "facebook": 2})


async def test_without_an_accounts_file_the_reason_names_the_setting(world):
    """A worker with all plugins starts without one."""
    done = await pull(world, payload("x"), settings={"accounts": ""})

    assert done.outcome == "failed"
    assert "JOBRUNNER_ANALYTICS_ACCOUNTS" in done.error.message


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_platform_that_fails_for_now_is_tried_again_after_the_others_were_served(world, status):
    """The rows of the others are there meanwhile."""
    fill(world)
    world.server.faults.next("x", status=status, retry_after=30)

    first = await pull(world, payload(*ALL))

    assert first.outcome == "retried"
    assert {row[0] for row in world.rows()} == set(ALL) - {"x"}
    before = world.server.ledger.requests("graph")
    (await pull(world, payload(*ALL), attempt=2, steps=first.steps)).expect("completed")
    assert world.server.ledger.requests("graph") == before
    assert {row[0] for row in world.rows()} == set(ALL)


async def test_posts_by_id_are_asked_of_the_platforms_whose_they_are(world):
    """An id says where it belongs by its form or by a name in front; what is no asked platform's is told."""
    status = fill(world)
    job = payload(
        "facebook",
        "mastodon",
        metrics=["comments"],
        postIds=[f"{PAGE}_1", f"mastodon:{status}", f"{PAGE}_404", "urn:li:share:1"],
    )

    done = (await pull(world, job)).expect("completed")

    assert done.result["rows"] == {"facebook": 1, "mastodon": 1}
    missing = {one["platform"]: one.get("missing", []) for one in done.result["pulls"]}
    assert missing == {"facebook": [f"{PAGE}_404"], "mastodon": []}
    assert done.result["unknownPostIds"] == ["urn:li:share:1"]


async def test_two_accounts_of_a_platform_are_both_read(world):
    """A tenant's brands together, where the job names none."""
    world.add_account("facebook", "880088", brand="brand-2")
    world.publish("facebook", f"{PAGE}_1")
    world.publish("facebook", "880088_1", account="880088")
    job = payload("facebook", postIds=[f"{PAGE}_1", "880088_1", "1_1"])
    del job["brandId"]

    done = (await pull(world, job)).expect("completed")

    assert [(one["accountId"], one["posts"], one["missing"]) for one in done.result["pulls"]] == [
        (PAGE, 1, ["1_1"]),
        ("880088", 1, ["1_1"]),
    ]
    brands = {("880088_1", "brand-2"), (f"{PAGE}_1", "brand-1")}
    assert set(world.rows("post, brand")) == brands


async def test_pages_are_bounded_and_the_result_says_so(world):
    """An account of ten thousand posts does not hold a slot for a day."""
    for number in range(60):
        world.publish("facebook", f"{PAGE}_{number}")

    done = (await pull(world, payload("facebook", metrics=["views"]), settings={"max_pages": 2})).expect(
        "completed"
    )

    assert (done.result["rows"], done.result["pulls"][0]["truncated"]) == ({"facebook": 50}, True)


async def test_accounts_file_that_changes_is_used_by_the_next_job(world):
    """A token is renewed without a restart; a broken file leaves the former accounts and is logged."""
    world.publish("x", "1900")
    world.entries[3]["token"] = "revoked-token-1"
    world.write()
    async with Harness("analytics", settings=world.settings()) as harness:
        first = await harness.enqueue("analytics.pull", payload("x"))
        await harness.drain()
        world.entries[3]["token"] = f"{TOKEN}-x"
        world.write()
        second = await harness.enqueue("analytics.pull", payload("x"))
        await harness.drain()
        world.accounts.write_text("{", encoding="utf-8")
        third = await harness.enqueue("analytics.pull", payload("x"))
        await harness.drain()

        states = [str(harness.job(handle).state) for handle in (first, second, third)]
        events = [line["event"] for line in harness.job(third).logs]
    assert states == ["failed", "completed", "completed"]
    assert "accounts.unreadable" in events


async def test_table_that_cannot_be_written_is_tried_again(world):
    """No page is called done whose rows are not there."""
    world.publish("x", "1900")
    settings = {"database_url": f"sqlite:///{world.folder}/nowhere/m.db"}

    done = await pull(world, payload("x"), settings=settings)

    assert (done.outcome, done.steps) == ("retried", {})
    assert "JOBRUNNER_ANALYTICS_DATABASE_URL" in done.error.message


async def test_token_stands_nowhere_but_in_the_calls(world):
    """Results, steps, errors and log lines end up in tickets."""
    fill(world)
    world.server.faults.next("x", status=500)

    done = await pull(world, payload(*ALL))

    told = repr((done.result, done.error, done.steps, done.logs, done.progress, done.exception))
    assert TOKEN not in told


async def test_typed_producers_enqueue_what_the_factory_does(world):
    """Three ways to say the same."""
    world.publish("x", "1900")
    now = datetime.now(UTC)
    fields = {
        "tenant_id": "acme",
        "platforms": ["x"],
        "date_range": DateRange(start_date=now - timedelta(days=7), end_date=now),
        "metrics": ["likes"],
    }
    async with Harness("analytics", settings=world.settings()) as harness:
        one = await Analytics(harness.client).pull(**fields, job_id="one")
        same = await harness.client.analytics.pull(**fields, job_id="one")
        other = SyncAnalytics(harness.sync_client).pull(**fields, job_id="two")
        await harness.drain()

        assert (one.created, same.created, other.created) == (True, False, True)
        assert [str(harness.job(name).state) for name in ("one", "two")] == ["completed", "completed"]
