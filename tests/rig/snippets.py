"""The fenced blocks of the pages, and which tests run them.

A test names the blocks that it runs by page, heading and language, and asks for them by the fixture `snippets`:

    @pytest.mark.runs("README.md", "your-first-queue", "sh")
    def test_commands_work(snippets): ...

`reads` in place of `runs` is for blocks that cannot be run here and are looked over instead; a table says of each
why. The list is best taken apart by name (`worker, job = snippets`), so that a block that is added below the same
heading stops the test. A test that names a block and never looks at its text fails, so that no page is thought to be tested that is not.
Reads text only; runs nothing.
"""

import ast
import inspect
import re
import unicodedata
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
MARKS = ("runs", "reads")


class Block:
    """A fenced block: where it stands, its language, its `title`, and its text."""

    def __init__(self, text: str, *, page: str, line: int, section: str, kind: str, title: str) -> None:
        """Take what a page has.

        Args:
            text: what stands between the fences.
            page: the page's path in the repository, or nothing.
            line: the line of the opening fence, from 1.
            section: the anchor of the nearest heading above it, or nothing.
            kind: the language, or nothing.
            title: the value of `title="..."` behind the language, or nothing.
        """
        self.page, self.line, self.section, self.kind, self.title = page, line, section, kind, title
        self._text = text
        self.looked_at = False

    @property
    def text(self) -> str:
        """What stands between the fences."""
        self.looked_at = True
        return self._text

    def __repr__(self) -> str:
        """Tell the place, as editors understand it."""
        return f"{self.page}:{self.line} ({self.kind or 'no language'})"


@dataclass(frozen=True)
class Choice:
    """Blocks of a page: all of them, those below one heading, or those of some languages below it."""

    page: str
    section: str | None = None
    kinds: tuple[str, ...] = ()

    def has(self, block: Block) -> bool:
        """Whether a block is one of them."""
        return (
            block.page == self.page
            and self.section in (None, block.section)
            and (not self.kinds or block.kind in self.kinds)
        )

    def __str__(self) -> str:
        """Write it as a mark's arguments."""
        return ", ".join(f'"{one}"' for one in (self.page, self.section, *self.kinds) if one is not None)


def choice(page: str, section: str | None = None, *kinds: str) -> Choice:
    """The blocks that a mark with these arguments names."""
    return Choice(page, section, kinds)


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)  # of a link, what is read
    text = unicodedata.normalize("NFC", text).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def blocks(text: str, page: str = "") -> list[Block]:
    """All fenced blocks of a page's text, in order."""
    found, section = [], ""
    tokens = MarkdownIt("commonmark").parse(text)
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and after is not None:
            section = slug(after.content)
        elif token.type == "fence":
            assert token.map is not None
            kind, _, rest = token.info.strip().partition(" ")
            title = re.search(r"title=\"([^\"]+)\"", rest)
            found.append(
                Block(
                    token.content,
                    page=page,
                    line=token.map[0] + 1,
                    section=section,
                    kind=kind,
                    title=title[1] if title else "",
                )
            )
    return found


def chosen(chosen_blocks: list[Choice]) -> list[Block]:
    """The blocks that some choices name, by page and line, each once."""
    pages = sorted({one.page for one in chosen_blocks})
    return [
        block
        for page in pages
        for block in blocks((ROOT / page).read_text("utf-8"), page)
        if any(one.has(block) for one in chosen_blocks)
    ]


def without_blocks(text: str) -> str:
    """A page's text without its fenced blocks."""
    lines = text.splitlines(keepends=True)
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "fence":
            assert token.map is not None
            begin, end = token.map
            lines[begin:end] = [""] * (end - begin)
    return "".join(lines)


async def execute(block: Block, **names: object) -> dict[str, object]:
    """Run a block of Python as it stands, also one that awaits at its top level.

    Args:
        block: the block.
        names: what the block takes for granted, such as `token`.

    Returns:
        All names that are there afterwards.
    """
    scope = {"__name__": "snippet", **names}
    code = compile(block.text, f"{block.page}:{block.line}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, scope)  # a page of ours
    if inspect.isawaitable(running):
        await running
    return scope


def named_by(item: pytest.Item) -> dict[str, list[Choice]]:
    """What a test says that it runs and reads: mark -> choices."""
    return {name: [choice(*mark.args) for mark in item.iter_markers(name)] for name in MARKS}


@pytest.fixture
def snippets(request: pytest.FixtureRequest) -> list[Block]:
    """The blocks that the test's marks `runs` and `reads` name, by page and line."""
    named = [one for choices in named_by(request.node).values() for one in choices]
    found = chosen(named)
    assert found, f"the marks of {request.node.name} name no block: {', '.join(map(str, named))}"
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed and never looked at a block that it says it runs."""
    result = yield
    shown = getattr(item, "funcargs", {}).get("snippets", [])
    ignored = [block for block in shown if not block.looked_at]
    if ignored:
        pytest.fail(f"the test says that it runs these blocks, and never looked at them: {ignored}")
    return result
