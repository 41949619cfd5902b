"""The README's tables and examples, held to the code."""

from __future__ import annotations

import json
import re
import typing

import msgspec
import pytest
from rig.snippets import ROOT, Block

from jobrunner_approval import ApprovalNotify, ApprovalSettings, Notice, NotifyResult
from jobrunner_approval.csv_file import read_approvers
from jobrunner_approval.directory import TABLE

PAGE = "plugins/approval/README.md"
README = (ROOT / PAGE).read_text(encoding="utf-8")


def test_every_setting_is_in_the_table_with_its_default() -> None:
    """A setting that nobody can find does not exist."""
    for field in msgspec.structs.fields(ApprovalSettings):
        row = re.search(rf"^\| `JOBRUNNER_APPROVAL_{field.name.upper()}` \|([^|]*)\|", README, re.MULTILINE)
        assert row is not None, field.name
        default = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert row.group(1).strip(" `") == default


@pytest.mark.runs(PAGE, "payload", "json")
@pytest.mark.runs(PAGE, "result", "json")
def test_payload_and_result_of_the_readme_are_valid(snippets: list[Block]) -> None:
    """Examples are copied."""
    payload, result = (block.text for block in snippets)

    msgspec.json.decode(payload, type=ApprovalNotify)
    decoded = msgspec.json.decode(result, type=NotifyResult)
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(result)


@pytest.mark.runs(PAGE, "approvers")
def test_file_of_the_readme_can_be_imported(snippets: list[Block]) -> None:
    """It is where everybody begins."""
    (file,) = snippets

    assert [one.approver_id for one in read_approvers(file.text.encode())] == ["ana", "bo"]


def test_every_status_is_documented() -> None:
    """What a producer compares with."""
    for status in typing.get_args(typing.get_type_hints(Notice)["status"]):
        assert f"| `{status}` |" in README


def test_columns_of_the_table_are_documented() -> None:
    """Others write into it."""
    assert ", ".join(f"`{column.name}`" for column in TABLE.columns) in README
