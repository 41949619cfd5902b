"""The pages that quote the benchmark say what it printed."""

from xml.etree import ElementTree as ET

import pytest
from rig.snippets import ROOT

from .pages import program

PERFORMANCE = program("build_performance")
RUN = PERFORMANCE.read()
PLACES = [
    (page, mark, text) for page, texts in PERFORMANCE.tables(RUN).items() for mark, text in texts.items()
]


@pytest.mark.parametrize(
    ("page", "mark", "text"), PLACES, ids=[f"{page.name} {mark}" for page, mark, _ in PLACES]
)
def test_figures_of_a_page_are_those_that_were_measured(page, mark, text):
    """A figure that nobody measured, or that was measured of another version, is a promise that nobody keeps."""
    written = page.read_text("utf-8")
    assert PERFORMANCE.put(written, mark, text) == written, "run docs/build_performance.py"


@pytest.mark.parametrize("name", ["performance-throughput.svg", "performance-scripts.svg"])
def test_pictures_show_the_figures_of_the_tables(name):
    """A picture is looked at, a table is not: it must not be older."""
    texts = {
        (element.text or "").strip()
        for element in ET.parse(ROOT / "docs" / "images" / name).iter()
        if element.tag.endswith("text")
    }
    if name == "performance-scripts.svg":
        wanted = {f"{row.figure:.2f}" for what, row in RUN.rows.items() if what.startswith("script ")}
    else:
        wanted = {PERFORMANCE._round(RUN.figure(f"drain, {number} in flight")) for number in (1, 10, 50, 200)}
    assert wanted <= texts, "run docs/build_performance.py"
