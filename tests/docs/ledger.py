"""Which block of the pages is run by which test: what is declared, put beside what there is.

Pages that a program writes are left out: their blocks are that program's, and tests of their own hold them to the code.
Collects tests in a process of its own; runs none.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rig.snippets import ROOT, Block, Choice, blocks

from .pages import markdown_files

FOLDERS = ("docs", "deploy", "core", "plugins")
WRITTEN_BY_PROGRAMS = ("docs/reference/",)


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A test that says which blocks it runs and which it reads, and whether it asks for their text."""

    name: str
    runs: tuple[Choice, ...] = ()
    reads: tuple[Choice, ...] = ()
    asks: bool = True


def every_block(folder: Path = ROOT) -> list[Block]:
    """Every fenced block that a reader may copy, by page and line."""
    paths = [folder / "README.md", *(path for name in FOLDERS for path in markdown_files(folder / name))]
    names = sorted(str(path.relative_to(folder)) for path in paths if path.exists())
    return [
        block
        for name in names
        if not name.startswith(WRITTEN_BY_PROGRAMS)
        for block in blocks((folder / name).read_text("utf-8"), name)
    ]


def declaring_tests() -> list[Declared]:
    """Every test with a mark `runs` or `reads`, also those that this run leaves out."""
    files = [
        str(path.relative_to(ROOT))
        for pattern in ("tests/*/test_*.py", "core/tests/**/test_*.py", "plugins/*/tests/test_*.py")
        for path in sorted(ROOT.glob(pattern))
        if any(f"mark.{name}(" in path.read_text("utf-8") for name in ("runs", "reads"))
    ]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "runs or reads"]
    done = subprocess.run(
        [*command, "-p", "rig.declared", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = []
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            named = {
                mark: tuple(Choice(page, section, tuple(kinds)) for page, section, kinds in told[mark])
                for mark in ("runs", "reads")
            }
            found.append(Declared(name=told["test"], asks=told["asks"], **named))
    return found


def problems(shown: list[Block], tests: list[Declared], not_run: Mapping[Choice, str]) -> list[str]:
    """What is wrong with the account, a line each; none where each block is run, or a reason stands why not.

    Args:
        shown: every block of the pages.
        tests: what tests say that they run and read.
        not_run: the reasons, by the blocks that they are about.
    """
    found = [
        f"{test.name}: it has a mark for blocks, and does not ask for `snippets`"
        for test in tests
        if not test.asks
    ]
    run = [one for test in tests for one in test.runs]
    read = [one for test in tests for one in test.reads]
    for block in shown:
        why = [reason for one, reason in not_run.items() if one.has(block)]
        mark = f'"{block.page}", "{block.section}", "{block.kind}"'
        if any(one.has(block) for one in run):
            if why:
                found.append(
                    f"{block}: a test runs it; take the reason why none does out of not_run.py: {why[0]}"
                )
        elif not block.kind:
            found.append(f"{block}: say what it is: sh, python, json, ... or text for what is printed")
        elif not why:
            found.append(
                f"{block}: no test runs it. Run it in a test marked @pytest.mark.runs({mark}), or say in"
                f" tests/docs/not_run.py why none can"
            )
    for what, choices in (("a test's mark", [*run, *read]), ("not_run.py", not_run)):
        found += [
            f"{what} names blocks that no page has: {one}"
            for one in choices
            if not any(one.has(block) for block in shown)
        ]
    return found
