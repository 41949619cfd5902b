"""Build the documentation site: collect the repository's pages, and let Zensical make HTML of them, warnings being errors.

    uv run --group docs python docs/build_site.py            # into build/site
    uv run --group docs zensical serve                       # look at it, after that

Pages keep their places, so a link means the same in the repository and on the site. Writes below build/ only.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "core", "plugins")
LEFT_OUT = {"node_modules", "build", "dist", "tests", "src"}
LINK = re.compile(r"\]\(([^)\s#]+)")


def pages(root: Path) -> list[Path]:
    """The Markdown files that are pages: those at the top, of docs/, of the core and of the plugins."""
    found = [*root.glob("*.md")]
    for folder in FOLDERS:
        found += [
            path for path in (root / folder).rglob("*.md") if not LEFT_OUT & set(path.relative_to(root).parts)
        ]
    return sorted(found)


def linked(page: Path, root: Path) -> Iterator[Path]:
    """The files and folders beside pages that a page leads to: pictures, schemas, programs."""
    for target in LINK.findall(page.read_text("utf-8")):
        path = (page.parent / target).resolve()
        if "://" not in target and path.suffix != ".md" and path.exists() and path.is_relative_to(root):
            yield path


def collect(root: Path, into: Path) -> None:
    """Copy the pages and what they lead to into an empty folder, each to its place; a folder gets a list of its files."""
    shutil.rmtree(into, ignore_errors=True)
    for page in pages(root):
        for path in (page, *linked(page, root)):
            copy = into / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copyfile(path, copy)
            elif not (path / "README.md").exists():
                copy.mkdir(exist_ok=True)
                files = sorted(file for file in path.iterdir() if file.is_file())
                for file in files:
                    shutil.copyfile(file, copy / file.name)
                rows = "".join(f"- [{file.name}]({file.name})\n" for file in files)
                (copy / "README.md").write_text(f"# {path.name}\n\n{rows}", "utf-8")


def main() -> int:
    """Collect and build.

    Returns:
        The exit status: 0, or not 0 where a page has a warning.
    """
    collect(ROOT, ROOT / "build/pages")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603 - the command is this file's own


if __name__ == "__main__":
    sys.exit(main())
