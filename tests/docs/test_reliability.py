"""The page with the figures: it says what was recorded, of tests that exist, and no promise on it is broken."""

import ast
import importlib.util
import re
import shlex
import sys

import msgspec
import pytest
from rig.figures import Counts, Figures, Ground, append, read_figures
from rig.snippets import ROOT, blocks

PAGE = ROOT / "docs/reliability.md"
KEPT = ROOT / "docs/reliability.jsonl"


@pytest.fixture(scope="module")
def builder():
    spec = importlib.util.spec_from_file_location("build_reliability", ROOT / "docs/build_reliability.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_reliability"] = module
    spec.loader.exec_module(module)
    return module


def table(text):
    """The rows of a page's table, each a list of cells, without the two of the head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_page_says_what_was_recorded(builder):
    """A figure that somebody corrected by hand would be worth nothing."""
    assert builder.build(KEPT) == PAGE.read_text("utf-8")


def test_every_row_names_tests_that_exist():
    """A reader repeats what a row says; a test that was renamed takes its row along."""
    commands = [
        block.text for block in blocks(PAGE.read_text("utf-8")) if block.text.startswith("uv run pytest")
    ]
    assert len(commands) == len(table(PAGE.read_text("utf-8"))) > 40

    for command in commands:
        words = shlex.split(command)
        assert words[:6] == ["uv", "run", "pytest", "-n", "0", "-m"]
        for test in words[7:]:
            path, _, name = test.partition("::")
            tree = ast.parse((ROOT / path).read_text("utf-8"))
            names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            assert name.partition("[")[0] in names, f"{test} is not there"


def test_nothing_that_is_promised_is_broken_on_the_page():
    """By the page itself: what a reader sees, not what the builder thinks."""
    rows = table(PAGE.read_text("utf-8"))

    assert [row for row in rows if "failed" in row[1]] == []
    assert [row for row in rows if "lost 0" in row[-1] and row[4] != "0"] == []
    assert [row for row in rows if "doubled 0" in row[-1] and row[5] != "0"] == []
    assert sum(row[-1] == "lost 0, doubled 0" for row in rows) > 30
    assert all(int(row[2].replace(",", "")) >= 1 for row in rows), "a row without a fault shows nothing"


def test_every_test_that_records_is_on_the_page_or_named_as_left_out(builder):
    """A test whose figures are bad could otherwise just be missing."""
    there = {one.test.partition("[")[0] for one in read_figures(KEPT)[1]}
    left_out = PAGE.read_text("utf-8").partition("## Not in this run")[2].partition("\n## ")[0]

    recording = builder.recording_tests()

    assert len(recording) > 30
    assert [test for test in recording if test not in there and f"`{test}`" not in left_out] == []


GOOD = Figures(
    test="tests/chaos/test_kill.py::test_a[1]",
    title="Killed",
    injected="kill -9",
    faults=2,
    counts=Counts(jobs=1000, lost=0, duplicates=0, reruns=3),
    recovery_s=(1.0, 3.0),
    recovery_of="from here to there",
    none_lost_promised=True,
    took_s=2.5,
    at="2026-01-02T03:04:05+00:00",
)


def changed(**more):
    return msgspec.structs.replace(GOOD, **more)


@pytest.fixture
def page(builder, tmp_path):
    """A function that makes a page of figures."""

    def make(*figures):
        path = tmp_path / "figures.jsonl"
        append(path, Ground(system="Linux", processors=2, memory_gib=4, python="3.11", servers=("Valkey 9",)))
        for one in figures:
            append(path, one)
        return builder.build(path)

    return make


def test_parameters_of_a_test_are_one_row(page):
    """Five seeds of one storm are one line, with the sums, and percentiles over all of them."""
    text = page(GOOD, changed(test="tests/chaos/test_kill.py::test_a[2]", recovery_s=(2.0, 9.0)))

    (row,) = table(text)

    assert row == ["1", "Killed", "4", "2,000", "0", "0", "6", "2.00", "9.00", "9.00", "lost 0, doubled 0"]
    assert 'uv run pytest -n 0 -m "" tests/chaos/test_kill.py::test_a\n' in text
    assert "2 tests injected 4 faults into 2,000 jobs" in text
    assert "2026-01-02, on Linux, 2 processors" in text


def test_columns_line_up(page):
    """The page is read as text too."""
    text = page(GOOD, changed(test="x.py::test_b", title="A much longer title than that", faults=1_000_000))

    lines = [line for line in text.splitlines() if line.startswith("|")]

    assert len({len(line) for line in lines}) == 1
    places = [[at for at, letter in enumerate(line) if letter == "|"] for line in lines]
    assert all(place == places[0] for place in places)


@pytest.mark.parametrize(
    ("more", "marked", "promise"),
    [
        ({}, False, "lost 0, doubled 0"),
        ({"passed": False}, True, "lost 0, doubled 0"),
        ({"counts": Counts(jobs=9, lost=1, duplicates=0, reruns=0)}, True, "lost 0, doubled 0"),
        ({"counts": Counts(jobs=9, lost=0, duplicates=1, reruns=0)}, True, "lost 0, doubled 0"),
        ({"promised": False, "counts": Counts(jobs=9, lost=0, duplicates=1, reruns=0)}, False, "lost 0"),
        ({"promised": False, "counts": Counts(jobs=9, lost=1, duplicates=0, reruns=0)}, True, "lost 0"),
        (
            {
                "promised": False,
                "none_lost_promised": False,
                "counts": Counts(jobs=9, lost=1, duplicates=1, reruns=0),
            },
            False,
            "nothing",
        ),
    ],
)
def test_row_that_breaks_its_promise_says_so(page, more, marked, promise):
    """The page is written after a bad night as well."""
    text = page(changed(**more))

    (row,) = table(text)

    assert row[-1] == promise
    assert ("failed" in row[1]) == marked
    assert ("Not as it should be:** no. 1" in text) == marked


def test_two_things_that_one_test_tried_are_two_rows(page):
    """Each with the command for its own part."""
    other = changed(test="tests/chaos/test_kill.py::test_a[2]", title="Killed on a cluster", recovery_s=())

    text = page(GOOD, other)

    assert [row[1] for row in table(text)] == ["Killed", "Killed on a cluster"]
    assert re.findall(r"-m \"\" (\S+)\n", text)[:2] == [f"'{GOOD.test}'", f"'{other.test}'"]


def test_tests_that_recorded_nothing_are_named(page, builder):
    """All of them, where the file has only figures of others."""
    left_out = page(GOOD).partition("## Not in this run")[2].partition("\n## ")[0]

    assert all(f"`{test}`" in left_out for test in builder.recording_tests())


def test_last_figures_of_a_test_are_kept(builder, tmp_path):
    """Files of several runs make one page, and a run that was repeated counts once."""
    first, second, kept = (tmp_path / name for name in ("first", "second", "kept"))
    append(first, GOOD)
    append(second, changed(test=f"{GOOD.test}@cluster", faults=7))

    builder.keep([first, second], kept)

    assert read_figures(kept)[1] == [changed(faults=7)]
