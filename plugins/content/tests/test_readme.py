"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from jobrunner_content import (
    ContentGenerateMonthly,
    ContentRegenSingle,
    ContentSettings,
    MonthlyResult,
    RegenResult,
)
from jobrunner_content.limits import LIMITS, OTHERS

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(ContentSettings):
        row = re.search(rf"^\| `JOBRUNNER_CONTENT_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default or "")
        assert row.group(1).strip(" `") == ("0" if field.default == 0 else shown), field.name


@pytest.mark.parametrize(
    ("place", "kind"),
    [(0, ContentGenerateMonthly), (1, MonthlyResult), (2, ContentRegenSingle), (3, RegenResult)],
)
def test_payloads_and_results_of_the_readme_are_valid(place: int, kind: type) -> None:
    """Examples are copied."""
    example = blocks("json")[place]

    decoded = msgspec.json.decode(example, type=kind)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(example)


async def test_writer_of_the_readme_writes() -> None:
    """It is what another distribution begins with."""
    from datetime import date

    from jobrunner_content import Brief, limits_of

    code = blocks("python")[-1]
    scope: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), scope)  # our own README
    brief = Brief(
        tenant_id="t",
        brand_id="b",
        post_id="p",
        platform="x",
        limits=limits_of("x"),
        day=date(2024, 1, 1),
        number=1,
        hashtags=("pond",),
    )

    async with scope["open_writer"](ContentSettings()) as writer:
        text = await writer.write(brief)
    assert text.hashtags == ("pond", "haiku")


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
