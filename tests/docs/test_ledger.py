"""Every fenced block of the pages is run by a test, or a reason stands why none can; and the check itself."""

import os
import subprocess
import sys

import pytest
from rig.snippets import ROOT, Choice, blocks

from .ledger import Declared, declaring_tests, every_block, problems
from .not_run import NOT_RUN

PAGE = "# A page\n\n```sh\nls\n```\n\n## Below it\n\n```python\nx = 1\n```\n\n```\nwhat is this\n```\n"


def test_every_block_is_run_or_says_why_not():
    """A command that nobody runs is wrong one day, and its reader is the first to know."""
    found = problems(every_block(), declaring_tests(), NOT_RUN)

    assert found == [], "\n".join(["", *found])


@pytest.fixture
def shown():
    return blocks(PAGE, "page.md")


def declared(*choices, **more):
    return Declared(name="test_page.py::test_it", runs=choices, **more)


def test_block_that_nothing_runs_is_named_with_its_line_and_what_to_do(shown):
    """Whoever adds a block reads this, and nothing else."""
    found = problems(shown, [declared(Choice("page.md", "a-page"))], {})

    assert found == [
        (
            "page.md:9 (python): no test runs it. Run it in a test marked"
            ' @pytest.mark.runs("page.md", "below-it", "python"), or say in tests/docs/not_run.py why none can'
        ),
        "page.md:13 (no language): say what it is: sh, python, json, ... or text for what is printed",
    ]


@pytest.mark.parametrize(
    ("tests", "not_run", "told"),
    [
        ([declared(Choice("page.md"))], {}, None),
        ([declared(Choice("page.md", "a-page"))], {Choice("page.md", "below-it", ("python",)): "why"}, "13"),
        ([declared(Choice("page.md"))], {Choice("page.md", "a-page"): "why"}, "take the reason"),
        ([declared(Choice("page.md"), Choice("gone.md"))], {}, 'no page has: "gone.md"'),
        ([declared(Choice("page.md"), Choice("page.md", "a-page", ("ts",)))], {}, "no page has"),
        ([declared(Choice("page.md"))], {Choice("page.md", "gone"): "why"}, "not_run.py names blocks"),
        ([declared(Choice("page.md"), asks=False)], {}, "does not ask for `snippets`"),
    ],
)
def test_account_that_does_not_fit_is_found(shown, tests, not_run, told):
    """The check itself."""
    found = problems(shown, tests, not_run)

    assert (len(found), told in "\n".join(found)) == (1, True) if told else found == []


def test_block_that_is_only_looked_over_needs_a_reason(shown):
    """Looking is not running."""
    looked = Declared(name="test_page.py::test_it", reads=(Choice("page.md"),))

    assert "page.md:3 (sh): no test runs it" in problems(shown, [looked], {})[0]


CLAIMS = """
import pytest

pytestmark = pytest.mark.runs("README.md", "your-first-queue", "python")

def test_that_looks(snippets):
    assert all(block.text for block in snippets)

def test_that_does_not(snippets):
    assert snippets
"""


def test_test_that_never_looks_at_its_blocks_fails(tmp_path):
    """A mark alone would be a claim, and not a test."""
    (tmp_path / "test_claims.py").write_text(CLAIMS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = runs\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "rig.snippets", "-p", "no:cacheprovider"]

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
    )

    assert "1 failed, 1 passed" in done.stdout
    assert "test_that_does_not" in done.stdout
    assert "never looked at them: [README.md:" in done.stdout
