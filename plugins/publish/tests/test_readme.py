"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from publish_desk import Desk, make_post
from rig.add_ons import InstallAddOn
from rig.far_service import FarService
from rig.snippets import ROOT, Block

from jobrunner_publish import Account, Delivery, DispatchResult, PublishDispatch, Published, PublishSettings
from jobrunner_publish.registry import load_platforms

PAGE = "plugins/publish/README.md"
PATH = "/xrpc/com.atproto.repo.createRecord"
README = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(PublishSettings):
        row = re.search(rf"^\| `JOBRUNNER_PUBLISH_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        assert row.group(1).strip(" `") == (
            "" if field.default in ("", ()) else format_default(field.default)
        )


def format_default(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.runs(PAGE, "payload", "json")
@pytest.mark.runs(PAGE, "result", "json")
def test_payload_and_result_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    payload, result = (block.text for block in snippets)

    msgspec.json.decode(payload, type=PublishDispatch)
    decoded = msgspec.json.decode(result, type=DispatchResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


@pytest.mark.parametrize("name", load_platforms().names)
def test_every_platform_says_what_it_promises_and_what_it_needs(name: str) -> None:
    """Two tables: credentials, and duplicates."""
    assert f"| `{name}` |" in README
    assert re.search(rf"^\| {name} \| ", README, re.MULTILINE | re.IGNORECASE)


@pytest.mark.runs(PAGE, "add-a-platform")
async def test_adapter_of_the_readme_is_found_and_publishes(
    snippets: list[Block], desk: Desk, install_add_on: InstallAddOn
) -> None:
    """It is what another distribution begins with."""
    module, project = (block.text for block in snippets)
    assert module.startswith("# my_package/bluesky.py\n")
    install_add_on("bluesky", module="my_package/bluesky.py", text=module, project=project)
    account = Account(platform="bluesky", id="acme", credentials={"accessToken": "t"})
    post = make_post(media=0)

    adapter = load_platforms().find("bluesky")
    assert adapter is not None
    with FarService({PATH: {"uri": "at://1"}}) as bluesky:
        async with bluesky.client() as desk.http:
            published = await desk.publish(adapter, post, account)

    assert published == Published(post_id="at://1")
    (asked,) = bluesky.asked
    assert asked[:3] == ("POST", PATH, "bsky.social")
    assert json.loads(asked[3]) == {"text": post.text}


def test_delivery_statuses_are_documented() -> None:
    """What a producer compares with."""
    for status in ("posted", "already_posted", "failed", "unknown"):
        assert f"`{status}`" in README
        Delivery(platform="x", account_id="a", status=status)
