"""Commands and snippets that pages show in passing exist: a page that is not run whole is held to this at least."""

import ast
import re
import shlex

import click
import msgspec
import pytest
from rig.snippets import ROOT, blocks, without_blocks

from jobrunner import Job, Queue, RateLimit
from jobrunner.cli import cli

from .pages import markdown_files

PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in markdown_files(ROOT)}
ENDS = {"|", "||", "&&", ">", "--", ";"}


def commands(page):
    """Every `jobrunner ...` of a page: in code spans, and as a line of a block for a shell."""
    yield from re.findall(r"`(jobrunner [^`\n]+)`", without_blocks(page))
    for block in blocks(page):
        if block.kind in ("sh", "console", "bash", ""):
            yield from re.findall(
                r"^[ $]*(?:[A-Z_]+=\S+ )*(?:uv run )?(jobrunner -?[a-z-].*)$", block.text, re.MULTILINE
            )


def problem(line):
    """What of a command is not there: a command's name or an option; None where all is."""
    words = shlex.split(line, comments=True)[1:]
    command = cli
    context = click.Context(cli, info_name="jobrunner")
    while words:
        word = words.pop(0)
        if word in ENDS:
            return None
        if word.startswith("--"):
            name, _, value = word.partition("=")
            option = next((one for one in command.params if name in [*one.opts, *one.secondary_opts]), None)
            if option is None:
                return f"{context.command_path} has no {name}"
            if not value and not getattr(option, "is_flag", False) and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            if found is None:
                return f"{context.command_path} has no command {word}"
            command, context = found, click.Context(found, parent=context, info_name=word)
    return None


def test_commands_of_all_pages_exist():
    """A reader types what stands there; an option that was renamed sends them away."""
    wrong = [
        f"{name}: {line}: {what}"
        for name, page in PAGES.items()
        for line in commands(page)
        if (what := problem(line))
    ]

    assert wrong == []
    assert sum(len(list(commands(page))) for page in PAGES.values()) > 50


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("jobrunner jobs show QUEUE ID --json", None),
        ("jobrunner --embedded run --plugin ./greeting.py", None),
        ("jobrunner stats | health", None),
        ("jobrunner sandbox -- jobrunner run --nonsense", None),
        ("jobrunner jobs show --nonsense", "jobrunner jobs show has no --nonsense"),
        ("jobrunner jobs look", "jobrunner jobs has no command look"),
        ("jobrunner --queue a run", "jobrunner has no --queue"),
    ],
)
def test_command_that_is_not_there_is_found(line, what):
    """The check itself."""
    assert problem(line) == what


def test_python_of_all_pages_can_be_read():
    """A bracket that is missing is copied with the rest. The generated reference shows hooks without a body."""
    shown = [
        (name, block.text)
        for name, page in PAGES.items()
        for block in blocks(page)
        if block.kind == "python" and not name.startswith("docs/reference/")
    ]

    assert len(shown) > 20
    for name, text in shown:
        compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.runs("docs/how-to/limit-tenants.md", "limit-tenants")
def test_limits_of_the_page_can_be_declared(snippets):
    """An argument that is named wrong there would be refused at its reader's start."""

    class Post(msgspec.Struct):
        tenant_id: str

    async def publish(job: Job[Post]) -> None:
        del job

    (shown,) = snippets
    queue = eval(shown.text, {"Queue": Queue, "RateLimit": RateLimit, "Post": Post, "publish": publish})

    assert (queue.name, queue.max_active, queue.max_active_per_tenant) == ("publish.dispatch", 50, 5)
