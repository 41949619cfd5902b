"""`docs/how-to/deploy.md`: its figures are those that were measured, its sums come out, its commands exist."""

import re
import shlex
from pathlib import Path

import pytest

from jobrunner.settings import Settings
from jobrunner.store.link import CONNECTIONS

from .pages import program

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")
MEASURED = program("build_performance").read()


def number(text):
    return float(text.replace(",", ""))


@pytest.mark.parametrize(
    ("quoted", "what"),
    [
        ("20,000", "drain, 50 in flight, a log line a job"),
        ("20,000", "drain, 50 in flight, 10,000 tenants"),
        ("50,000", "enqueue in bulk, 1 tenants"),
    ],
)
def test_rates_that_it_plans_with_are_no_higher_than_what_was_measured(quoted, what):
    """A guide that plans with more than was measured plans an outage; with much less, idle machines."""
    assert quoted in PAGE
    assert number(quoted) <= MEASURED.figure(what) <= 3 * number(quoted)


def test_memory_that_it_plans_with_is_what_was_measured():
    """Redis that is full refuses jobs."""
    (row,) = [row for name, row in MEASURED.rows.items() if name.startswith("memory, redis")]
    assert "470 bytes" in PAGE
    assert abs(row.figure - 470) <= 0.03 * 470


def test_sums_come_out():
    """They are copied with other numbers in them."""
    sums = re.findall(r"`([\d.,]+(?: [x+/] [\d.,]+)+)`\s+(?:are|=)\s+([\d.,]+)(?: ([GM]B))?", PAGE)
    told = {text: number(result.rstrip(".,")) for text, result, _ in sums}

    assert set(told) == {"100 x 2 / 50", "100 x 0.00505", "1,000,000 x 1,270", "40 x 34 + 20 x 32"}
    for text, result in told.items():
        exact = eval(text.replace(",", "").replace("x", "*"))  # digits and signs, by the pattern above
        scale = 1e9 if result < 10 < exact / 1e6 else 1
        assert abs(exact / scale - result) <= 0.03 * result, (text, exact, result)


def test_connections_and_grace_are_the_codes_own():
    """Both are constants of the code, and the page quotes them."""
    assert f"{CONNECTIONS} for what its" in PAGE
    assert f"up to {CONNECTIONS + 2}:" in PAGE
    assert f"`JOBRUNNER_GRACE` ({Settings().grace:g} s)" in PAGE


def test_files_and_links_of_the_page_are_there():
    """Every file that a command names, and every page that is linked."""
    for file in re.findall(r"deploy/[\w./@-]+\w", PAGE):
        assert (ROOT / file).exists(), file
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE):
        assert (ROOT / "docs" / "how-to" / target).exists(), target


def test_commands_of_the_page_parse():
    """Those of ours, as they stand there."""
    from deploy.test_deploy import parses

    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    ours = [shlex.split(line)[1:] for line in lines if line.startswith("jobrunner ")]

    assert [words for words in ours if parses([word for word in words if word != "--embedded"]) is None] == []
    assert parses(["run", "--plugin", "./greeting.py", "--reload"])["reloads"] is True
