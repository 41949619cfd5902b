"""`docs/how-to/deploy.md`: its figures are those that were measured, its sums come out, its commands exist."""

import re
import shlex
from pathlib import Path

from jobrunner.settings import Settings
from jobrunner.store.link import CONNECTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "deploy.md").read_text("utf-8")
BENCH = (ROOT / "README.md").read_text("utf-8").partition("<!-- bench -->")[2].partition("<!-- /bench -->")[0]


def number(text):
    return float(text.replace(",", ""))


def test_figures_are_those_of_the_front_page():
    """A guide that plans with other figures than were measured plans for another product."""
    for quoted in ("27,000", "24,000", "470 bytes", "382 on Valkey", "62,000"):
        assert quoted in PAGE, quoted
        assert quoted in BENCH, quoted


def test_sums_come_out():
    """They are copied with other numbers in them."""
    sums = re.findall(r"`([\d.,]+(?: [x+/] [\d.,]+)+)`\s+(?:are|=)\s+([\d.,]+)(?: ([GM]B))?", PAGE)
    told = {text: number(result.rstrip(".,")) for text, result, _ in sums}

    assert set(told) == {"100 x 2 / 50", "100 x 0.00504", "1,000,000 x 1,270", "40 x 34 + 20 x 32"}
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
