"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec

from jobrunner_image import FONTS, ImageGenerate, ImageResult, ImageSettings
from jobrunner_image.card.drawing import STYLES

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(ImageSettings):
        row = re.search(rf"^\| `JOBRUNNER_IMAGE_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        assert row.group(1).strip(" `") == shown(field.default)


def shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_payload_and_result_of_the_readme_are_valid() -> None:
    """Examples are copied."""
    payload, result = blocks("json")

    msgspec.json.decode(payload, type=ImageGenerate)
    decoded = msgspec.json.decode(result, type=ImageResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


def test_fonts_and_styles_are_listed() -> None:
    """What a payload may name."""
    for name in (*FONTS, *STYLES):
        assert f"`{name}`" in README


def test_examples_compile_and_the_engine_can_be_opened() -> None:
    """It is what another distribution begins with."""
    producer, engine = blocks("python")
    scope: dict[str, object] = {}

    compile(producer, "README.md", "exec", flags=0x2000)  # top-level await
    exec(compile(engine, "README.md", "exec"), scope)  # our own README

    assert callable(scope["open_engine"])
