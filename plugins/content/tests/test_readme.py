"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from content_desk import Desk, month
from rig.add_ons import InstallAddOn
from rig.snippets import ROOT, Block

from jobrunner_content import (
    ContentGenerateMonthly,
    ContentRegenSingle,
    ContentSettings,
    MonthlyResult,
    PostStore,
    RegenResult,
)
from jobrunner_content.limits import LIMITS, OTHERS

PAGE = "plugins/content/README.md"
README = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(ContentSettings):
        row = re.search(rf"^\| `JOBRUNNER_CONTENT_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default or "")
        assert row.group(1).strip(" `") == ("0" if field.default == 0 else shown), field.name


@pytest.mark.runs(PAGE, "a-month-of-posts")
@pytest.mark.runs(PAGE, "rewriting-one-post")
def test_payloads_and_results_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    kinds = (ContentGenerateMonthly, MonthlyResult, ContentRegenSingle, RegenResult)
    for block, kind in zip(snippets, kinds, strict=True):
        decoded = msgspec.json.decode(block.text, type=kind)
        assert json.loads(msgspec.json.encode(decoded)) == json.loads(block.text)


@pytest.mark.runs(PAGE, "add-a-writer")
async def test_writer_of_the_readme_writes(
    snippets: list[Block], install_add_on: InstallAddOn, desk: Desk, posts: PostStore
) -> None:
    """It is what another distribution begins with."""
    module, project = (block.text for block in snippets)
    assert module.startswith("# my_package/haiku.py\n")
    install_add_on("haiku", module="my_package/haiku.py", text=module, project=project)
    desk.writer = "haiku"

    done = (await desk.write(month(contentCount=1))).expect("completed")

    post = await posts.find("demo-tenant", done.result["posts"]["instagram"][0])
    assert post is not None
    assert post.text.body == "A frog jumps into the pond,\nsplash! Silence again."
    assert post.text.hashtags[-1] == "haiku"


def test_what_platforms_take_is_as_the_readme_says() -> None:
    """Whoever plans a campaign reads it there."""
    (told,) = re.findall(r"What a platform takes:(.*?)\n\n", README, re.DOTALL)
    told = " ".join(told.split())
    for name, limits in LIMITS.items():
        if name != "twitter":
            assert f"`{name}`" in told
            assert f"{limits.characters:,}" in told
            assert str(limits.hashtags) in told
    assert f"{OTHERS.characters:,} for any other" in told
