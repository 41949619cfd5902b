"""The documentation site: every page is on it, it is built without a warning, and its links hold in HTML too."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from rig.snippets import ROOT

from .pages import program

CONFIG = (ROOT / "mkdocs.yml").read_text("utf-8")


def test_every_page_is_in_the_navigation():
    """A page that the navigation does not have is found by nobody who reads the site."""
    named = re.findall(r"^ +- (?:.*: )?(\S+\.md)$", CONFIG, re.MULTILINE)

    assert sorted(named) == [str(page.relative_to(ROOT)) for page in program("build_site").pages(ROOT)]


def test_pages_are_collected_with_what_they_lead_to(tmp_path):
    """A picture or a schema that stays behind would be a broken link on the site."""
    into = tmp_path / "pages"
    into.mkdir()
    (into / "gone.md").write_text("an earlier build's page")

    program("build_site").collect(ROOT, into)

    assert not (into / "gone.md").exists()
    for path in (
        "README.md",
        "docs/images/demo.svg",
        "docs/reference/events.schema.json",
        "plugins/http/README.md",
    ):
        assert (into / path).read_bytes() == (ROOT / path).read_bytes()


class Anchors(HTMLParser):
    """What an HTML page leads to, and what can be led to in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, _tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name == "id":
                self.names.add(value)


def broken(site):
    """Each link within a site that leads nowhere."""
    read = {
        path: Anchors(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"
    }
    for page, found in read.items():
        for target in found.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            path = path / "index.html" if path.is_dir() else path
            if not path.is_file():
                yield f"{page.relative_to(site)}: {target}: no such file"
            elif parts.fragment and path in read and unquote(parts.fragment) not in read[path].names:
                yield f"{page.relative_to(site)}: {target}: no such heading"


def build(folder):
    """Build the pages of a folder; the exit status, and what was said."""
    shutil.copy(ROOT / "mkdocs.yml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return built.returncode, re.sub(r"\x1b\[[0-9;]*m", "", built.stdout + built.stderr)


@pytest.mark.long
def test_site_is_built_without_a_warning(tmp_path):
    """Warnings are broken links and pages that are not there: readers would meet them first."""
    pytest.importorskip("zensical", reason="the group docs is not installed: uv sync --group docs")
    program("build_site").collect(ROOT, tmp_path / "build/pages")

    status, said = build(tmp_path)

    assert status == 0, said
    site = tmp_path / "build/site"
    assert list(broken(site)) == []
    assert len(list(site.rglob("*.html"))) > len(program("build_site").pages(ROOT))


@pytest.mark.slow
def test_broken_link_stops_the_build(tmp_path):
    """A build that goes on over a broken link would be worth nothing as a check."""
    pytest.importorskip("zensical", reason="the group docs is not installed: uv sync --group docs")
    program("build_site").collect(ROOT, tmp_path / "build/pages")
    page = Path(tmp_path / "build/pages/docs/how-to/run-workers.md")
    page.write_text(page.read_text("utf-8") + "\n[nowhere](gone.md)\n", "utf-8")

    status, said = build(tmp_path)

    assert status != 0
    assert "gone.md" in said
