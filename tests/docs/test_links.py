"""Links between pages lead somewhere, in every Markdown file of the repository."""

import pytest
from rig.snippets import ROOT, blocks, slug

from .pages import anchors, broken_links, links


def test_every_relative_link_and_anchor_exists():
    """A page that is moved or a heading that is reworded takes the links to it along."""
    assert broken_links(ROOT) == []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "there.md").write_text("# There\n\n## Take `this`, please\n\n## Again\n\n## Again\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](there.md)", None),
        ("[a](there.md#take-this-please)", None),
        ("[a](there.md#again-1)", None),
        ("[a](#here)", None),
        ("![a](there.md 'title')", None),
        ("[a](https://example.com/gone#nowhere) [b](mailto:a@example.com)", None),
        ("`[a](gone.md)` and ``[`a`](gone.md)``", None),
        ("```\n[a](gone.md)\n```", None),
        ("[a](gone.md)", "no such file"),
        ("[a](there.md#gone)", "no such heading"),
        ("[a](#gone)", "no such heading"),
        ("[a][b]\n\n[b]: gone.md", "no such file"),
        ('<img src="gone.svg">', "no such file"),
        ("[a](/docs/there.md)", "is not relative"),
        ("[a](../../outside.md)", "is outside the repository"),
    ],
)
def test_broken_link_is_found(folder, text, problem):
    """The check itself: it sees each kind of link, and takes no code for one."""
    (folder / "docs" / "page.md").write_text(f"# Here\n\n{text}\n")

    found = broken_links(folder)

    assert (len(found) == 0) if problem is None else (len(found) == 1 and problem in found[0])


def test_heading_becomes_the_anchor_that_github_makes():
    """Readers follow anchors on GitHub and on the site alike."""
    assert slug("`jobrunner jobs show`") == "jobrunner-jobs-show"
    assert slug("What holds, by what goes wrong") == "what-holds-by-what-goes-wrong"
    assert slug("From [BullMQ](x.md) - and on") == "from-bullmq---and-on"
    assert anchors("# A\n```\n# B\n```\n") == {"a"}


def test_block_has_its_kind_title_and_text():
    """The tests of pages run what these blocks hold; a fence that is missed would not be run."""
    page = 'x\n```python title="a.py" hl_lines="1"\nx = 1\n```\n\n```sh\nls\n```\n'

    first, second = blocks(page)

    assert (first.kind, first.title, first.text) == ("python", "a.py", "x = 1\n")
    assert (second.kind, second.title, second.text) == ("sh", "", "ls\n")
    assert links(page) == []
