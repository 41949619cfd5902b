"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from jobrunner_analytics import METRICS, AnalyticsPull, AnalyticsSettings, PullResult
from jobrunner_analytics.accounts import AccountBook
from jobrunner_analytics.registry import load_platforms

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
ORDER = ("facebook", "instagram", "linkedin", "x", "mastodon")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(AnalyticsSettings):
        row = re.search(rf"^\| `JOBRUNNER_ANALYTICS_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert row.group(1).strip(" `") == shown


def test_payload_and_result_of_the_readme_are_valid() -> None:
    """Examples are copied."""
    payload, result = blocks("json")

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


def test_accounts_file_of_the_readme_can_be_read(tmp_path: Path) -> None:
    """It is what everybody begins with."""
    path = tmp_path / "accounts.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")

    book = AccountBook(str(path))

    (page,) = book.find(tenant="demo-tenant", brand="brand-123", platform="facebook")
    (account,) = book.find(tenant="demo-tenant", brand="brand-9", platform="mastodon")
    assert (page.id, account.instance) == ("770077", "https://fosstodon.org")


def test_examples_compile_and_the_platform_can_be_called() -> None:
    """It is what another distribution begins with."""
    producer, platform = blocks("python")
    scope: dict[str, object] = {}

    compile(producer, "README.md", "exec", flags=0x2000)  # top-level await
    exec(compile(platform, "README.md", "exec"), scope)  # our own README

    assert callable(scope["read_page"])
