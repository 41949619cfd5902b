"""What the migration guides show of ours runs, and what they say of the source system's queues is so."""

import ast
import os
import re
import shutil
import subprocess
import sys

import msgspec
import pytest
from rig.snippets import ROOT, blocks

from jobrunner.discovery import installed
from jobrunner.plugins import load
from jobrunner_content import ContentGenerateMonthly

pytestmark = pytest.mark.long

FOLDER = ROOT / "docs/how-to/migrate"
GUIDES = ("bullmq", "celery", "rq", "arq")


def each(guide, mark, section):
    """A guide as a parameter, with the mark for its blocks below a heading."""
    return pytest.param(guide, marks=getattr(pytest.mark, mark)(f"docs/how-to/migrate/{guide}.md", section))


def page(name):
    return (FOLDER / f"{name}.md").read_text("utf-8")


def ours(name):
    """The Python files of a guide by their names: those blocks that have a title."""
    return {block.title: block.text for block in blocks(page(name)) if block.title and block.kind == "python"}


@pytest.fixture
def environ(start_server):
    """The variables of a program beside a server of its own, and none of ours besides."""
    left_out = ("REDIS_", "JOBRUNNER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"REDIS_URL": start_server().url}


@pytest.mark.parametrize("guide", [each(guide, "runs", "after") for guide in GUIDES])
def test_code_of_the_guide_runs(guide, snippets, environ, tmp_path, start_process):
    """Who moves copies this; the producer's job must end well in the handler beside it."""
    assert [block.title for block in snippets] == ["mail.py", "producer.py"], guide
    for block in snippets:
        (tmp_path / block.title).write_text(block.text, "utf-8")
    environ |= {"JOBRUNNER_PLUGINS": "./mail.py"}

    for told in ("welcome-7 is new", "welcome-7 was there"):
        producer = start_process([sys.executable, "producer.py"], env=environ, cwd=tmp_path)
        assert producer.wait_for_line(".") == told
        assert producer.wait() == 0

    run = [sys.executable, "-m", "jobrunner", "run", "--burst", "--fail-on-failed"]
    worker = start_process(run, env=environ, cwd=tmp_path)
    worker.wait_for_line(r'"job\.completed".*"welcome-7"')
    assert worker.wait(timeout_s=60) == 0, worker.output()


@pytest.mark.runs("docs/how-to/migrate/source-system.md", "producers", "python")
def test_producer_of_the_source_system_runs(snippets, environ, tmp_path, start_process):
    """It enqueues with the plugin's own types; a field that is renamed would be wrong here only."""
    (producer,) = snippets
    (tmp_path / "producer.py").write_text(producer.text, "utf-8")
    environ |= {"JOBRUNNER_PLUGINS": "content"}

    producer = start_process([sys.executable, "producer.py"], env=environ, cwd=tmp_path)

    assert producer.wait_for_line(".") == "monthly-brand-123-2026-12 is new"
    assert producer.wait() == 0


NODE = """
const queueFactory = { content: { generateMonthlyContent: async (payload) => console.log(JSON.stringify(payload)) } };
"""


@pytest.mark.reads("docs/how-to/migrate/source-system.md", "producers", "ts")
def test_what_is_shown_of_the_source_system_is_a_payload_here(snippets, tmp_path):
    """The guide says that payloads stay as they are."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (shown,) = snippets
    (tmp_path / "before.mjs").write_text(NODE + shown.text, "utf-8")

    told = subprocess.run(["node", "before.mjs"], cwd=tmp_path, capture_output=True, check=True, timeout=60)

    payload = msgspec.json.decode(told.stdout, type=ContentGenerateMonthly)
    assert (payload.brand_id, payload.content_count) == ("brand-123", 30)


def test_code_of_the_guides_has_types(tmp_path):
    """A guide that mypy --strict refuses would be refused at its reader's desk."""
    files = []
    for guide in (*GUIDES, "source-system"):
        (tmp_path / guide.replace("-", "_")).mkdir()
        for title, text in ours(guide).items():
            files.append(tmp_path / guide.replace("-", "_") / title)
            files[-1].write_text(text, "utf-8")
    options = ["--strict", "--scripts-are-modules", "--namespace-packages", "--explicit-package-bases"]
    command = [sys.executable, "-m", "mypy", *options, "--no-error-summary"]
    environ = os.environ | {"MYPYPATH": os.pathsep.join([str(tmp_path), *sources()])}

    checked = subprocess.run(
        [*command, *map(str, files)], capture_output=True, text=True, cwd=tmp_path, env=environ
    )

    assert (checked.returncode, checked.stdout) == (0, "")


def sources():
    return [str(folder) for folder in (ROOT / "core/src", *sorted(ROOT.glob("plugins/*/src")))]


@pytest.mark.parametrize("guide", [each(guide, "reads", "before") for guide in GUIDES[1:]])
def test_code_of_the_others_is_python(guide, snippets):
    """Nobody here runs Celery, RQ or arq; that what is shown of them can be read at all is checked."""
    (shown,) = snippets

    ast.parse(shown.text, guide)


def test_every_guide_is_in_the_list():
    """A page that nothing leads to is not found."""
    text = (FOLDER / "README.md").read_text("utf-8")

    assert {f"{name}.md" for name in (*GUIDES, "source-system")} == {
        path.name for path in FOLDER.glob("*.md") if path.name != "README.md"
    }
    assert all(f"({path.name})" in text for path in FOLDER.glob("*.md") if path.name != "README.md")


def test_queues_of_the_source_system_are_as_the_guide_says():
    """Whoever moves compares these numbers with their own."""
    names = ["analytics", "approval", "content", "image", "publish", "whatsapp"]
    assert set(names) <= {found.name for found in installed()}
    plugins = load(names, environ={})
    text = page("source-system")

    for queue in plugins.queues.values():
        row = re.search(rf"^\| `{re.escape(queue.name)}` \|(.*)\|$", text, re.MULTILINE)
        assert row is not None, queue.name
        _, priority, concurrency, route = (cell.strip(" `") for cell in row[1].split("|"))
        assert (priority, concurrency, route) == (
            str(queue.priority),
            str(queue.concurrency or ""),
            queue.route,
        )
        assert queue.concurrency_env is None or f"`{queue.concurrency_env}`" in text
    assert len(plugins.queues) == 7
