"""Each platform against the sandbox: lists in pages, posts by their ids, and nobody else's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from analytics_endpoint import Canned
from analytics_world import DAY, INSTAGRAM, ORGANIZATION, PAGE, TOKEN, World

from jobrunner_analytics import Account, Context, Page, Platform, Query, RefusedError
from jobrunner_analytics.platforms import facebook, graph, instagram, linkedin, mastodon, x


def query(*metrics: str, ids: tuple[str, ...] = (), days: float = 30) -> Query:
    now = datetime.now(UTC)
    return Query(
        start=now - timedelta(days=days), end=now + timedelta(hours=1), metrics=metrics, post_ids=ids
    )


def account(platform: str, account_id: str, **changes: object) -> Account:
    values: dict[str, object] = {"tenant": "acme", "token": f"{TOKEN}-{platform}", **changes}
    return Account(platform=platform, id=account_id, **values)  # type: ignore[arg-type]  # as the test names them


async def read_all(platform: Platform, asked: Query, owner: Account, context: Context) -> list[Page]:
    pages = [await platform.read_page(asked, owner, "", context)]
    while pages[-1].next_cursor:
        pages.append(await platform.read_page(asked, owner, pages[-1].next_cursor, context))
    return pages


def ids_of(pages: list[Page]) -> list[str]:
    return [post.post_id for page in pages for post in page.posts]


# ---- Facebook and Instagram ------------------------------------------------------------------------------


async def test_facebook_reads_counts_and_insights_of_all_pages(world: World, context: Context) -> None:
    """30 posts are two pages; one from before the range and one of another page are not in it."""
    for number in range(30):
        world.publish("facebook", f"{PAGE}_{number}", age_days=1 + number / 100)
    world.publish("facebook", f"{PAGE}_99", age_days=40)
    world.publish("facebook", "88_1", account="88")

    pages = await read_all(
        facebook, query("post_media_view", "reactions", "shares"), account("facebook", PAGE), context
    )

    assert [len(page.posts) for page in pages] == [25, 5]
    assert sorted(ids_of(pages)) == sorted(f"{PAGE}_{number}" for number in range(30))
    assert pages[0].posts[0].values.keys() == {"post_media_view", "reactions", "shares"}


async def test_facebook_posts_by_id_are_the_pages_own_and_there(world: World, context: Context) -> None:
    """Another page's post is not asked for, and one that was deleted is left out."""
    world.publish("facebook", f"{PAGE}_1", age_days=400)
    world.publish("facebook", "88_1", account="88")
    asked = query("comments", ids=(f"{PAGE}_1", f"{PAGE}_404", "88_1"))

    pages = await read_all(facebook, asked, account("facebook", PAGE), context)

    assert ids_of(pages) == [f"{PAGE}_1"]
    assert not any("88_1" in request.path for request in world.server.ledger.requests())


async def test_metric_that_meta_retired_does_not_take_the_others_along(
    world: World, context: Context
) -> None:
    """Meta refuses all of a call for one name; then each is asked for by itself, for the first post only."""
    for number in range(3):
        world.publish("facebook", f"{PAGE}_{number}")
    asked = query("post_media_view", "post_impressions", "post_clicks")

    (page,) = await read_all(facebook, asked, account("facebook", PAGE), context)

    assert page.unsupported == ("post_impressions",)
    assert all(post.values.keys() == {"post_media_view", "post_clicks"} for post in page.posts)
    insights = [one for one in world.server.ledger.requests() if one.path.endswith("/insights")]
    assert len(insights) == 1 + 3 + 2


async def test_metric_with_parts_gives_its_parts(world: World, context: Context) -> None:
    """Reactions by type are an object there."""
    world.publish("facebook", f"{PAGE}_1")

    (page,) = await read_all(
        facebook, query("post_reactions_by_type_total"), account("facebook", PAGE), context
    )

    assert {"post_reactions_by_type_total.like", "post_reactions_by_type_total.love"} <= page.posts[
        0
    ].values.keys()


async def test_instagram_reads_media_by_list_and_by_id(world: World, context: Context) -> None:
    """By id only the account's own: any other media id would be somebody else's."""
    for number in range(26):
        world.publish("instagram", f"1790000000000{number:04}")
    world.publish("instagram", "17911111111111111", account="999")
    owner = account("instagram", INSTAGRAM)

    listed = await read_all(instagram, query("views", "saved"), owner, context)
    asked = query("views", ids=("17900000000000003", "17911111111111111", "17922222222222222"))
    named = await read_all(instagram, asked, owner, context)

    assert [len(page.posts) for page in listed] == [25, 1]
    assert listed[0].posts[0].values.keys() == {"views", "saved"}
    assert ids_of(named) == ["17900000000000003"]


@pytest.mark.parametrize(
    "error",
    [
        {"code": 10, "message": "(#10) Not enough viewers for the media to show insights"},
        {"code": 100, "error_subcode": 2108006, "message": "Media posted before business account conversion"},
    ],
)
async def test_media_without_insights_are_no_failure(
    context: Context, canned: Canned, error: dict[str, object]
) -> None:
    """Others of the account have them."""
    canned.reply(400, msgspec.json.encode({"error": error}))
    api = context.api(account("instagram", INSTAGRAM), graph.INSTAGRAM, canned.url)

    assert await graph.InsightReader(api, ["views"]).read("1790") == {}


# ---- LinkedIn --------------------------------------------------------------------------------------------


async def test_linkedin_reads_shares_and_ugc_posts(world: World, context: Context) -> None:
    """Two kinds of ids are two parameters; the list ends at the first post from before the range."""
    for number in range(55):
        kind = "ugcPost" if number % 2 else "share"
        world.publish("linkedin", f"urn:li:{kind}:{number}", age_days=60 - number / 10)
    world.publish("linkedin", "urn:li:share:999", account="urn:li:organization:5")
    asked = query("impressionCount", "engagement", days=57)

    pages = await read_all(linkedin, asked, account("linkedin", ORGANIZATION), context)

    assert [len(page.posts) for page in pages] == [24]
    assert pages[0].posts[0].values.keys() == {"impressionCount", "engagement"}


async def test_linkedin_pages_by_its_start(world: World, context: Context) -> None:
    """More than a page of posts in the range."""
    for number in range(60):
        world.publish("linkedin", f"urn:li:share:{number}", age_days=2 - number / 100)

    pages = await read_all(
        linkedin, query("likeCount"), account("linkedin", f"urn:li:organization:{ORGANIZATION}"), context
    )

    assert [len(page.posts) for page in pages] == [50, 10]


async def test_linkedin_posts_by_id_are_the_organisations_own(world: World, context: Context) -> None:
    """LinkedIn tells none of another organisation's."""
    world.publish("linkedin", "urn:li:share:1")
    world.publish("linkedin", "urn:li:share:2", account="urn:li:organization:5")
    asked = query("likeCount", ids=("urn:li:share:1", "urn:li:share:2", "urn:li:ugcPost:3"))

    pages = await read_all(linkedin, asked, account("linkedin", ORGANIZATION), context)

    assert ids_of(pages) == ["urn:li:share:1"]


async def test_linkedin_member_is_refused_without_a_call(world: World, context: Context) -> None:
    """There is no such API for members."""
    with pytest.raises(RefusedError, match="organisations only"):
        await linkedin.read_page(query("likeCount"), account("linkedin", "urn:li:person:7"), "", context)

    assert world.server.ledger.requests() == []


# ---- X ---------------------------------------------------------------------------------------------------


async def test_x_reads_public_and_private_metrics_of_all_pages(world: World, context: Context) -> None:
    """Private ones are told for 30 days; an older post has its public ones all the same."""
    for number in range(101):
        world.publish("x", str(1900 + number), age_days=1 + number / 1000)
    world.publish("x", "1700", age_days=40)
    owner = account("x", world.user("x"))

    pages = await read_all(x, query("like_count", "url_link_clicks", days=50), owner, context)

    assert [len(page.posts) for page in pages] == [100, 2]
    values = {post.post_id: post.values.keys() for page in pages for post in page.posts}
    assert values["1900"] == {"like_count", "url_link_clicks"}
    assert values["1700"] == {"like_count"}


async def test_x_does_not_ask_for_private_metrics_that_nobody_wants(world: World, context: Context) -> None:
    """Each call costs money there."""
    world.publish("x", "1900")

    await read_all(x, query("like_count"), account("x", world.user("x")), context)

    assert [one.path for one in world.server.ledger.requests()] == [f"/2/users/{world.user('x')}/tweets"]


async def test_x_posts_by_id_are_the_users_own(world: World, context: Context) -> None:
    """X would tell anybody's public counts: they would stand in a tenant's table as its own."""
    world.publish("x", "1")
    world.publish("x", "2", account="somebody")
    asked = query("like_count", ids=("1", "2", "3"))

    assert ids_of(await read_all(x, asked, account("x", world.user("x")), context)) == ["1"]


async def test_x_range_of_the_future_is_empty_without_a_call(world: World, context: Context) -> None:
    """X refuses an end that is not past."""
    later = datetime.now(UTC) + timedelta(days=3)
    asked = Query(start=later, end=later + timedelta(days=1), metrics=("like_count",))

    assert await x.read_page(asked, account("x", world.user("x")), "", context) == Page()
    assert world.server.ledger.requests() == []


# ---- Mastodon --------------------------------------------------------------------------------------------


async def test_mastodon_reads_statuses_by_list_and_by_id(world: World, context: Context) -> None:
    """45 statuses are two pages, and a third call finds the end."""
    ids = [world.toot(f"number {number}") for number in range(45)]
    owner = account("mastodon", world.user("mastodon"))

    listed = await read_all(mastodon, query("favourites_count", "replies_count"), owner, context)
    named = await read_all(mastodon, query("reblogs_count", ids=(ids[0], "404")), owner, context)

    assert ids_of(listed) == ids[::-1]
    assert listed[0].posts[0].values.keys() == {"favourites_count", "replies_count"}
    assert ids_of(named) == [ids[0]]


async def test_mastodon_statuses_of_others_are_left_out(world: World, context: Context) -> None:
    """Anybody's public status can be read by its id."""
    status = world.toot()

    pages = await read_all(mastodon, query("replies_count", ids=(status,)), account("mastodon", "7"), context)

    assert ids_of(pages) == []


async def test_mastodon_names_the_instance_of_an_entry_of_its_own(world: World, context: Context) -> None:
    """Ids repeat among instances, and the table's key has no instance."""
    status = world.toot()
    owner = account("mastodon", world.user("mastodon"), instance=f"{world.server.services()['mastodon']}")
    host = world.server.url.removeprefix("http://")

    listed = await read_all(mastodon, query("replies_count"), owner, context)
    asked = query("replies_count", ids=(f"{status}@{host}", f"{status}@elsewhere.example", status))
    named = await read_all(mastodon, asked, owner, context)

    assert ids_of(listed) == ids_of(named) == [f"{status}@{host}"]


async def test_mastodon_list_ends_before_the_range(world: World, context: Context) -> None:
    """Newest first: no call for what cannot be in it."""
    for _ in range(3):
        world.toot()
    past = datetime.fromtimestamp(time.time() + DAY, UTC)
    asked = Query(start=past, end=past + timedelta(days=1), metrics=("replies_count",))

    assert await mastodon.read_page(asked, account("mastodon", world.user("mastodon")), "", context) == Page()
    assert len([one for one in world.server.ledger.requests() if one.method == "GET"]) == 1
