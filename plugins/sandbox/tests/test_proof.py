"""What the demo exits by: each way in which a post can be wrong is seen, and none can hide behind another."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from jobrunner_sandbox.demo import sample, schedule
from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.proof import Asked, prove

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arrived(jobs, *, at=NOW):
    """What the stand-ins publish where all is well."""
    return [
        Published(
            platform=entry.platform,
            account=entry.account,
            post_id=f"{job.post_id}-{entry.platform}",
            url="",
            text=f"{job.content.hook}\n\nThe text.",
            at=at.timestamp(),
        )
        for job in (msgspec.convert(one, Asked) for one in jobs)
        for entry in job.platforms
    ]


@pytest.mark.parametrize("number", [1, 60, 61, 200])
def test_all_that_arrived_once_is_proved(number):
    """Beyond sixty the sample begins anew, and no post may be taken for the one that it was made from."""
    jobs = sample(number)
    posts = arrived(jobs)
    proof = prove(jobs, posts, set())
    assert proof.holds
    assert proof.once == proof.expected == len(posts)


def test_post_that_is_missing_does_not_hide_behind_one_that_is_there_twice():
    """The numbers are right, and the posts are not."""
    jobs = sample(10)
    posts = arrived(jobs)
    posts[3] = posts[7]
    proof = prove(jobs, posts, set())
    assert not proof.holds
    assert (len(proof.missing), len(proof.twice), proof.once) == (1, 1, proof.expected - 2)


@pytest.mark.parametrize(
    "change",
    [{"account": "somebody-else"}, {"platform": "elsewhere"}, {"text": "Another first line"}],
    ids=lambda change: next(iter(change)),
)
def test_post_in_the_wrong_place_is_missing_in_its_own(change):
    """A post on another company's page is no success."""
    jobs = sample(5)
    posts = arrived(jobs)
    posts[0] = msgspec.structs.replace(posts[0], **change)
    proof = prove(jobs, posts, set())
    assert not proof.holds
    assert (len(proof.missing), proof.strangers) == (1, 1)


def test_post_before_its_time_is_seen():
    """It was scheduled, and people would have seen it too soon."""
    jobs, due_ms = schedule(sample(24), NOW)
    assert len(due_ms) == 2
    late, soon = arrived(jobs, at=NOW + timedelta(seconds=10)), arrived(jobs)
    assert prove(jobs, late, set()).holds
    proof = prove(jobs, soon, set())
    assert not proof.holds
    assert {name.split()[0] for name in proof.early} == due_ms.keys()


def test_unknown_post_is_told_and_not_missed():
    """With lost answers that is all that can be said of it; but it must not be there twice."""
    jobs = sample(1)
    entry = msgspec.convert(jobs[0], Asked).platforms[0]
    unknown = {("demo-post-001", entry.platform, entry.account_id)}
    name = f"demo-post-001 {entry.platform} {entry.account_id}"

    gone, there, twice = (prove(jobs, arrived(jobs) * times, unknown) for times in (0, 1, 2))
    assert (gone.holds, gone.unknown, gone.missing) == (True, [name], [])
    assert (there.holds, there.unknown, there.once) == (True, [name], 1)
    assert (twice.holds, twice.twice) == (False, [name])
    assert prove(jobs, [], set()).missing == [name]


def test_sample_has_posts_for_all_platforms_and_tenants():
    """The demo shows what the plugin can do."""
    jobs = sample(60)
    assert len({job["content"]["hook"] for job in jobs}) == 60
    assert len({job["tenantId"] for job in jobs}) == 4
    assert {entry["platform"] for job in jobs for entry in job["platforms"]} == {
        *("facebook", "instagram", "linkedin", "mastodon", "x")
    }
