"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from jobrunner_publish import Delivery, DispatchResult, PublishDispatch, PublishSettings
from jobrunner_publish.registry import load_platforms

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


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


def test_payload_and_result_of_the_readme_are_valid() -> None:
    """Examples are copied."""
    payload, result = blocks("json")

    msgspec.json.decode(payload, type=PublishDispatch)
    decoded = msgspec.json.decode(result, type=DispatchResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


@pytest.mark.parametrize("name", load_platforms().names)
def test_every_platform_says_what_it_promises_and_what_it_needs(name: str) -> None:
    """Two tables: credentials, and duplicates."""
    assert f"| `{name}` |" in README
    assert re.search(rf"^\| {name} \| ", README, re.MULTILINE | re.IGNORECASE)


def test_adapter_of_the_readme_runs() -> None:
    """It is what another distribution begins with."""
    (_, code) = blocks("python")
    scope: dict[str, object] = {}

    exec(compile(code, "README.md", "exec"), scope)  # our own README

    assert callable(scope["publish"])


def test_delivery_statuses_are_documented() -> None:
    """What a producer compares with."""
    for status in ("posted", "already_posted", "failed", "unknown"):
        assert f"`{status}`" in README
        Delivery(platform="x", account_id="a", status=status)
