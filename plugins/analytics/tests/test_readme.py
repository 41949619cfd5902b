"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from rig.add_ons import InstallAddOn
from rig.far_service import FarService
from rig.snippets import ROOT, Block

from jobrunner_analytics import (
    METRICS,
    Account,
    AnalyticsPull,
    AnalyticsSettings,
    Context,
    PostFigures,
    PullResult,
    Query,
)
from jobrunner_analytics.accounts import AccountBook
from jobrunner_analytics.registry import load_platforms

PAGE = "plugins/analytics/README.md"
README = (ROOT / PAGE).read_text(encoding="utf-8")
PATH = "/xrpc/app.bsky.feed.getAuthorFeed"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ORDER = ("facebook", "instagram", "linkedin", "x", "mastodon")


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(AnalyticsSettings):
        row = re.search(rf"^\| `JOBRUNNER_ANALYTICS_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert row.group(1).strip(" `") == shown


@pytest.mark.runs(PAGE, "payload", "json")
@pytest.mark.runs(PAGE, "result", "json")
def test_payload_and_result_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    payload, result = (block.text for block in snippets)

    msgspec.json.decode(payload, type=AnalyticsPull)
    decoded = msgspec.json.decode(result, type=PullResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


@pytest.mark.parametrize("metric", METRICS)
def test_metric_is_named_as_each_platform_names_it(metric: str) -> None:
    """Whoever reads a number must be able to find out what it is."""
    row = re.search(rf"^\| `{metric}` \|(.*)\|$", README, re.MULTILINE)
    platforms = load_platforms()

    assert row is not None
    told = [cell.strip(" `") for cell in row.group(1).split("|")]
    assert told == [platforms.find(name).METRICS.get(metric, "") for name in ORDER]  # type: ignore[union-attr]  # all are there


@pytest.mark.runs(PAGE, "accounts")
def test_accounts_file_of_the_readme_can_be_read(snippets: list[Block], tmp_path: Path) -> None:
    """It is what everybody begins with."""
    path = tmp_path / "accounts.toml"
    path.write_text(snippets[0].text, encoding="utf-8")

    book = AccountBook(str(path))

    (page,) = book.find(tenant="demo-tenant", brand="brand-123", platform="facebook")
    (account,) = book.find(tenant="demo-tenant", brand="brand-9", platform="mastodon")
    assert (page.id, account.instance) == ("770077", "https://fosstodon.org")


@pytest.mark.runs(PAGE, "add-a-platform")
async def test_platform_of_the_readme_is_found_and_reads_a_page(
    snippets: list[Block], install_add_on: InstallAddOn
) -> None:
    """It is what another distribution begins with."""
    module, project = (block.text for block in snippets)
    assert module.startswith("# my_package/bluesky.py\n")
    install_add_on("bluesky", module="my_package/bluesky.py", text=module, project=project)
    post = {"uri": "at://1", "likeCount": 3, "repostCount": 1}
    account = Account(tenant="acme", platform="bluesky", id="acme.example", token="t")
    query = Query(start=NOW - timedelta(days=1), end=NOW, metrics=("likeCount",))

    platform = load_platforms().find("bluesky")
    assert platform is not None
    with FarService({PATH: {"feed": [{"post": post}], "cursor": "next"}}) as bluesky:
        async with bluesky.client() as http:
            page = await platform.read_page(
                query, account, "", Context(http=http, settings=AnalyticsSettings())
            )

    assert page.posts == (PostFigures(post_id="at://1", values={"likeCount": 3}),)
    assert page.next_cursor == "next"
    assert bluesky.asked == [("GET", f"{PATH}?actor=acme.example&limit=50", "bsky.social", b"")]
