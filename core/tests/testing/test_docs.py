"""The page `docs/how-to/test-a-plugin.md`, run as a reader would run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "test-a-plugin.md"
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with the page's files; blocks of one title follow each other in one file."""
    for _, title, text in BLOCK.findall(PAGE.read_text("utf-8")):
        if title:
            with (tmp_path / title).open("a", encoding="utf-8") as file:
                file.write(text + "\n\n")
    return tmp_path


def run_pytest(folder: Path, *arguments: str, **variables: str) -> str:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-W",
        "error",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        *arguments,
    ]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command, check=False, cwd=folder, env=environ | variables, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_every_block_is_a_file_or_a_command() -> None:
    """A snippet without a title would be one that nothing runs."""
    kinds = {(language, bool(title)) for language, title, _ in BLOCK.findall(PAGE.read_text("utf-8"))}

    assert kinds == {("python", True), ("ini", True), ("console", False)}


def test_suite_of_the_page_passes(suite: Path) -> None:
    """In the order of the page: the contract's schemas are missing at first, are recorded, and then hold."""
    assert "JOBRUNNER_UPDATE_SCHEMAS=1" in run_pytest(suite, "test_contract.py")
    assert "1 passed" in run_pytest(suite, "test_contract.py", JOBRUNNER_UPDATE_SCHEMAS="1")

    told = run_pytest(suite)

    assert "13 passed" in told, told


def test_page_names_every_fixture_and_every_call() -> None:
    """What the kit gives is on the page, or nobody finds it."""
    from jobrunner.testing import Harness, Performed, fixtures

    text = PAGE.read_text("utf-8")
    given = [name for name in vars(fixtures) if name.startswith(("jobrunner_", "perform_"))]
    calls = [
        name
        for name in (
            "enqueue",
            "drain",
            "run_due",
            "advance",
            "job",
            "jobs",
            "cancel",
            "events",
            "kill_after",
            "expect_enqueued",
        )
        if hasattr(Harness, name)
    ]
    own = [name for name in Performed.__struct_fields__ if name not in ("queue", "job_id")]

    assert len(given) == 4
    assert [name for name in given if f"`{name}`" not in text and name != "jobrunner_plugin"] == []
    assert [name for name in calls if f"harness.{name}" not in text] == []
    assert [name for name in own if f"`{name}`" not in text and f"performed.{name}" not in text] == []
