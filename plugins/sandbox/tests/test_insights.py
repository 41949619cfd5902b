"""The reading side of the platforms: lists in pages, figures that stay and grow, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from jobrunner_sandbox import SandboxServer, account_of
from jobrunner_sandbox.ledger import Published

ME = account_of("secret-token")


@pytest.fixture
def fill(sandbox: SandboxServer) -> Callable[..., None]:
    def fill(platform: str, account: str, ids: list[str], at: float = 1_000_000.0) -> None:
        for number, post_id in enumerate(ids):
            sandbox.ledger.publish(
                Published(
                    platform=platform,
                    account=account,
                    post_id=post_id,
                    url="https://example.com/1",
                    text="Hello",
                    at=at + number,
                )
            )

    return fill


def test_page_lists_posts_in_pages_and_between_two_times(
    client: httpx.Client, fill: Callable[..., None]
) -> None:
    """A client that stops at the first page misses posts here as there."""
    fill("facebook", "77", [f"77_{number}" for number in range(5)])
    params = {"limit": "2", "since": "1000001", "fields": "id,created_time,reactions.limit(0).summary(1)"}

    first = client.get("/graph/v25.0/77/posts", params=params).json()
    after = first["paging"]["cursors"]["after"]
    second = client.get("/graph/v25.0/77/posts", params={**params, "after": after}).json()

    assert [post["id"] for post in first["data"] + second["data"]] == ["77_4", "77_3", "77_2", "77_1"]
    assert ("next" in first["paging"], "next" in second["paging"]) == (True, False)
    assert first["data"][0]["reactions"]["summary"]["total_count"] > 0


def test_figures_stay_for_an_hour_and_grow(
    client: httpx.Client, fill: Callable[..., None], set_ahead: Callable[[float], None]
) -> None:
    """Two pulls of a day differ as they do there."""
    fill("facebook", "77", ["77_1"])

    def views() -> int:
        answer = client.get("/graph/77_1/insights", params={"metric": "post_media_view,post_clicks"})
        return sum(one["values"][0]["value"] for one in answer.json()["data"])

    first, again = views(), views()
    set_ahead(100 * 3600)

    assert first == again
    assert views() > first


def test_one_wrong_metric_refuses_all(client: httpx.Client, fill: Callable[..., None]) -> None:
    """So Meta does, whenever it retires one."""
    fill("instagram", "88", ["1790"])

    answer = client.get("/graph/1790/insights", params={"metric": "views,plays"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)


def test_linkedin_wants_lists_in_its_own_notation(client: httpx.Client, fill: Callable[..., None]) -> None:
    """Quoted parentheses are no list there."""
    organization = "urn:li:organization:5"
    fill("linkedin", organization, ["urn:li:share:1", "urn:li:share:2"])
    base = "/linkedin/rest/organizationalEntityShareStatistics?q=organizationalEntity"
    address = f"{base}&organizationalEntity=urn%3Ali%3Aorganization%3A5&shares="
    headers = {"LinkedIn-Version": "202607"}

    good = client.get(f"{address}List(urn%3Ali%3Ashare%3A1,urn%3Ali%3Ashare%3A9)", headers=headers)
    quoted = client.get(f"{address}List%28urn%3Ali%3Ashare%3A1%29", headers=headers)

    assert [element["share"] for element in good.json()["elements"]] == ["urn:li:share:1"]
    assert quoted.status_code == 400


def test_x_tells_private_metrics_of_own_new_posts_only(
    client: httpx.Client, fill: Callable[..., None], sandbox: SandboxServer
) -> None:
    """Others' posts, and those of last year, have public counts alone."""
    client.post("/x/2/tweets", json={"text": "Hello"})
    (mine,) = sandbox.ledger.posts("x")
    fill("x", ME, ["101"])
    fill("x", "somebody", ["102"], at=mine.at)
    fields = "public_metrics,non_public_metrics,author_id"

    answer = client.get("/x/2/tweets", params={"ids": f"{mine.post_id},101,102,999", "tweet.fields": fields})

    assert ["non_public_metrics" in post for post in answer.json()["data"]] == [True, False, False]
    assert [error["value"] for error in answer.json()["errors"]] == ["999"]


def test_x_timeline_is_paged(client: httpx.Client, fill: Callable[..., None]) -> None:
    """By a token of its own."""
    fill("x", ME, [str(number) for number in range(100, 107)])
    params = {"max_results": "5", "start_time": "1970-01-12T13:46:41Z"}

    first = client.get(f"/x/2/users/{ME}/tweets", params=params).json()
    token = first["meta"]["next_token"]
    second = client.get(f"/x/2/users/{ME}/tweets", params={**params, "pagination_token": token}).json()

    assert [post["id"] for post in first["data"] + second["data"]] == [
        "106",
        "105",
        "104",
        "103",
        "102",
        "101",
    ]
    assert "next_token" not in second["meta"]


def test_mastodon_counts_and_pages(client: httpx.Client, sandbox: SandboxServer) -> None:
    """The next page is named by a Link header."""
    for text in ("one", "two", "three"):
        client.post("/mastodon/api/v1/statuses", json={"status": text})
    address = f"/mastodon/api/v1/accounts/{ME}/statuses"

    first = client.get(address, params={"limit": "2"})
    rest = client.get(first.links["next"]["url"], params={"max_id": first.json()[-1]["id"]})

    assert [status["content"] for status in first.json() + rest.json()] == [
        f"<p>{text}</p>" for text in ("three", "two", "one")
    ]
    one = client.get(f"/mastodon/api/v1/statuses/{rest.json()[0]['id']}").json()
    assert one["favourites_count"] == rest.json()[0]["favourites_count"] > 0
    assert "next" not in rest.links
