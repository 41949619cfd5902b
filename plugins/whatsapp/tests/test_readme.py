"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from rig.snippets import ROOT, Block

from jobrunner_whatsapp import Accepted, WhatsAppMessage, WhatsAppSettings
from jobrunner_whatsapp.verdicts import RULES

PAGE = "plugins/whatsapp/README.md"
README = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(WhatsAppSettings):
        row = re.search(rf"^\| `JOBRUNNER_WHATSAPP_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert row.group(1).strip(" `") == default


@pytest.mark.runs(PAGE, "payload", "json")
@pytest.mark.runs(PAGE, "result", "json")
def test_payload_and_result_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    payload, result = (block.text for block in snippets)

    assert msgspec.json.decode(payload, type=WhatsAppMessage).to == "+4915123456789"
    assert json.loads(msgspec.json.encode(msgspec.json.decode(result, type=Accepted))) == json.loads(result)


@pytest.mark.parametrize("code", [code for code in RULES if code > 300 and code // 1000 != 132])
def test_code_that_has_a_meaning_of_its_own_is_in_a_table_or_a_known_kind(code: int) -> None:
    """An operator looks a code up here first; account blocks and versions say in their text what to do."""
    in_words = {368, 130497, 131031, 131037, 131042, 131045, 2635}
    assert (str(code) in README) != (code in in_words)
