"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from rig.add_ons import InstallAddOn
from rig.snippets import ROOT, Block

from jobrunner.testing import perform_job
from jobrunner_image import FONTS, ImageGenerate, ImageResult, ImageSettings
from jobrunner_image.card.drawing import STYLES

PAGE = "plugins/image/README.md"
README = (ROOT / PAGE).read_text(encoding="utf-8")


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


@pytest.mark.runs(PAGE, "payload", "json")
@pytest.mark.runs(PAGE, "result", "json")
def test_payload_and_result_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    payload, result = (block.text for block in snippets)

    msgspec.json.decode(payload, type=ImageGenerate)
    decoded = msgspec.json.decode(result, type=ImageResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


def test_fonts_and_styles_are_listed() -> None:
    """What a payload may name."""
    for name in (*FONTS, *STYLES):
        assert f"`{name}`" in README


@pytest.mark.runs(PAGE, "add-an-engine")
async def test_engine_of_the_readme_draws(
    snippets: list[Block], install_add_on: InstallAddOn, tmp_path: Path
) -> None:
    """It is what another distribution begins with."""
    module, project = (block.text for block in snippets)
    assert module.startswith("# my_package/gradients.py\n")
    install_add_on("gradients", module="my_package/gradients.py", text=module, project=project)
    order = {"tenantId": "acme", "brandId": "b", "prompt": "x", "style": "cartoon"}

    done = await perform_job(
        "image.generate",
        order | {"dimensions": {"width": 96, "height": 64}},
        plugin="image",
        settings={"engine": "gradients", "output_url": str(tmp_path / "pictures")},
    )

    result = done.expect("completed").result
    assert (result["engine"], result["width"], result["height"]) == ("gradients", 96, 64)
    with Image.open(tmp_path / "pictures" / result["path"]) as picture:
        assert picture.getpixel((48, 0)) < picture.getpixel((48, 63)), "a gradient, from dark to light"
