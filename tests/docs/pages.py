"""What the tests read out of Markdown pages beside their fenced blocks: links, and the anchors that headings make.

Reads text only, and never a network.
"""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from rig.snippets import ROOT, slug, without_blocks

COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", flags=re.DOTALL)
INLINE = re.compile(r"\]\(\s*<?([^\s)>]+)>?(?:\s+[\"'][^)]*)?\)")
DEFINED = re.compile(r"^ {0,3}\[[^\]^]+\]:\s*<?(\S+?)>?\s*$", flags=re.MULTILINE)
ATTRIBUTE = re.compile(r"<(?:a|img)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"")
HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$", flags=re.MULTILINE)
NAMED = re.compile(r"<a\b[^>]*?\b(?:id|name)=\"([^\"]+)\"")


def program(name: str) -> ModuleType:
    """A program of `docs/`, to be asked what it would write."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prose(page: str) -> str:
    """A page without what is shown as it is: fenced blocks and comments."""
    return COMMENT.sub("", without_blocks(page))


def links(page: str) -> list[str]:
    """The targets of all links and images of a page, in code spans none."""
    text = CODE.sub("", prose(page))
    return [match[1] for pattern in (INLINE, DEFINED, ATTRIBUTE) for match in pattern.finditer(text)]


def anchors(page: str) -> set[str]:
    """Every anchor of a page; a heading that comes again has a number."""
    text = prose(page)
    found: set[str] = {match[1] for match in NAMED.finditer(text)}
    seen: dict[str, int] = {}
    for heading in HEADING.finditer(text):
        name = slug(heading[2])
        count = seen.get(name, 0)
        seen[name] = count + 1
        found.add(f"{name}-{count}" if count else name)
    return found


def markdown_files(folder: Path) -> list[Path]:
    """All Markdown files below a folder but those in hidden folders and in what a build or a tool leaves."""
    left_out = {"node_modules", "site", "dist", "build"}
    return sorted(
        path
        for path in folder.rglob("*.md")
        if not any(part.startswith(".") or part in left_out for part in path.relative_to(folder).parts[:-1])
    )


def broken_links(folder: Path) -> list[str]:
    """Each link of the Markdown files below a folder that leads nowhere, as `file: target: what is missing`.

    Addresses with a scheme are not followed.
    """
    return [
        f"{path.relative_to(folder)}: {target}: {problem}"
        for path in markdown_files(folder)
        for target in links(path.read_text("utf-8"))
        if (problem := _problem(folder, path, target))
    ]


def _problem(folder: Path, page: Path, target: str) -> str | None:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    where, _, anchor = target.partition("#")
    if where.startswith("/"):
        return "is not relative: it leads elsewhere on each host"
    path = (page.parent / where).resolve() if where else page
    if not path.is_relative_to(folder):
        return "is outside the repository"
    if not path.exists():
        return "no such file"
    if anchor and path.suffix == ".md" and anchor not in anchors(path.read_text("utf-8")):
        return "no such heading"
    return None
