"""Write `docs/reliability.md` from the figures that the chaos tests recorded.

uv run python docs/build_reliability.py FIGURES...   # keep these files' figures as docs/reliability.jsonl, and write the page
uv run python docs/build_reliability.py              # write the page again from what is kept
uv run python docs/build_reliability.py --check      # exit 1 if that would change something

Says nothing that no test recorded but for the words around the table; see `.ci/nightly` for a run that records.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from rig.figures import Counts, Figures, Ground, append, percentile, read_figures  # noqa: E402 - the rig is no distribution

FOLDER = ROOT / "docs"
TESTS = ROOT / "tests/chaos"
HEADINGS = (
    "",
    "what was tried",
    "faults",
    "jobs",
    "lost",
    "doubled",
    "run again",
    "p50",
    "p99",
    "longest",
    "promised",
)
WIDTH = 120

LEFT = (1, len(HEADINGS) - 1)
"""The columns with words; numbers are set to the right."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one test measured, over all its parameters."""

    title: str
    command: str
    """Pytest's arguments: the tests of this row, and no others."""
    figures: tuple[Figures, ...]

    @property
    def first(self) -> Figures:
        """The figures of its longest run, whose words stand for all."""
        return max(self.figures, key=lambda one: (one.counts.jobs, one.faults))

    @property
    def counts(self) -> Counts:
        """The sums."""
        names = Counts.__struct_fields__
        return Counts(**{name: sum(getattr(one.counts, name) for one in self.figures) for name in names})

    @property
    def faults(self) -> int:
        """All faults."""
        return sum(one.faults for one in self.figures)

    @property
    def recovery_s(self) -> tuple[float, ...]:
        """All recoveries, shortest first."""
        return tuple(sorted(wait for one in self.figures for wait in one.recovery_s))

    @property
    def passed(self) -> bool:
        """Whether every test of it did."""
        return all(one.passed for one in self.figures)

    @property
    def promise(self) -> str:
        """What must be 0."""
        if all(one.promised for one in self.figures):
            return "lost 0, doubled 0"
        return "lost 0" if all(one.none_lost_promised for one in self.figures) else "nothing"

    @property
    def kept(self) -> bool:
        """Whether what is promised is so."""
        counts = self.counts
        return ("lost" not in self.promise or not counts.lost) and (
            "doubled" not in self.promise or not counts.duplicates
        )


def main(words: list[str]) -> int:
    """Keep figures, and write or check the page."""
    kept, page = FOLDER / "reliability.jsonl", FOLDER / "reliability.md"
    check = "--check" in words
    if sources := [Path(word) for word in words if not word.startswith("-")]:
        keep(sources, kept)
    text = build(kept)
    if page.is_file() and page.read_text("utf-8") == text:
        return 0
    if check:
        print(f"out of date: {page.name}; run python docs/build_reliability.py")
        return 1
    page.write_text(text, "utf-8")
    return 0


def keep(sources: Iterable[Path], into: Path) -> None:
    """Write the figures of several files into one; of a test that ran more than once, the last."""
    lines: dict[str, Figures | Ground] = {}
    for source in sources:
        grounds, figures = read_figures(source)
        lines |= {f"ground {ground}": ground for ground in grounds}
        for one in figures:
            name = re.sub(r"@[\w-]+$", "", one.test)
            lines[name + one.title] = msgspec.structs.replace(one, test=name)
    into.unlink(missing_ok=True)
    for line in sorted(lines.values(), key=lambda line: line.test if isinstance(line, Figures) else ""):
        append(into, line)


def build(path: Path) -> str:
    """Make the page.

    Args:
        path: the figures.
    """
    grounds, figures = read_figures(path)
    rows = rows_of(figures)
    days = sorted({one.at[:10] for one in figures})
    parts = [
        "<!-- Written by docs/build_reliability.py from docs/reliability.jsonl: run .ci/nightly, change nothing here. -->",
        "# Reliability, measured",
        INTRODUCTION,
        "## The run",
        f"{' and '.join(days[:1] + days[1:][-1:])}, on " + "; ".join(map(place, grounds)) + ".",
        summary(rows),
        table(rows),
        LEGEND,
        "## What is promised, and how it was checked",
        METHOD,
        "## Each row, and how to run it again",
        "\n\n".join(details(number, row) for number, row in enumerate(rows, 1)),
        *missing(figures),
        "## What these tests found",
        FOUND,
        "## What was not tried",
        NOT_TRIED,
        "## Run all of it",
        AGAIN,
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def place(ground: Ground) -> str:
    """One machine in words."""
    return (
        f"{ground.system}, {ground.processors} processors (shared with other work), {ground.memory_gib:g} GiB, "
        f"Python {ground.python}, {' and '.join(ground.servers)}"
    )


def rows_of(figures: list[Figures]) -> list[Row]:
    """Put the figures of one test under several parameters together, as long as they tried the same."""
    groups: dict[tuple[str, str], list[Figures]] = {}
    of_function: dict[str, int] = {}
    for one in figures:
        function = one.test.partition("[")[0]
        groups.setdefault((function, one.title), []).append(one)
    for function, _ in groups:
        of_function[function] = of_function.get(function, 0) + 1
    return [
        Row(
            title=title,
            command=function if of_function[function] == 1 else " ".join(f"'{one.test}'" for one in found),
            figures=tuple(found),
        )
        for (function, title), found in groups.items()
    ]


def summary(rows: list[Row]) -> str:
    """The sums of all rows."""
    bound = [row for row in rows if row.promise != "nothing"]
    broken = [row for row in rows if not row.kept or not row.passed]
    tests = sum(len(row.figures) for row in rows)
    told = (
        f"{tests} tests injected {sum(row.faults for row in rows):,} faults into {sum(row.counts.jobs for row in rows):,} "
        f"jobs. Where a promise is made, {sum(row.counts.lost for row in bound):,} of {sum(row.counts.jobs for row in bound):,} "
        "accepted jobs were lost."
    )
    if broken:
        told += " **Not as it should be:** " + ", ".join(f"no. {rows.index(row) + 1}" for row in broken) + "."
    return told


def table(rows: list[Row]) -> str:
    """The rows, in columns that line up."""
    cells = [HEADINGS, *(tuple(cells_of(number, row)) for number, row in enumerate(rows, 1))]
    widths = [max(len(line[at]) for line in cells) for at in range(len(HEADINGS))]
    rule = ["-" * width if at in LEFT else "-" * (max(width, 2) - 1) + ":" for at, width in enumerate(widths)]
    lines = [
        "| "
        + " | ".join(
            pad(text, width, left=at in LEFT)
            for at, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in (cells[0], tuple(rule), *cells[1:])
    ]
    return "\n".join(lines)


def cells_of(number: int, row: Row) -> Iterator[str]:
    """A row's cells."""
    counts, waits = row.counts, row.recovery_s
    yield str(number)
    yield row.title if row.passed and row.kept else f"**{row.title}: failed**"
    yield f"{row.faults:,}"
    yield from (f"{value:,}" for value in (counts.jobs, counts.lost, counts.duplicates, counts.reruns))
    if waits:
        yield from (f"{percentile(waits, share):.2f}" for share in (0.5, 0.99, 1.0))
    else:
        yield from ("", "", "")
    yield row.promise


def pad(text: str, width: int, *, left: bool) -> str:
    """Fill a cell up."""
    return text.ljust(max(width, 2)) if left else text.rjust(max(width, 2))


def details(number: int, row: Row) -> str:
    """What a row means, and its command."""
    first = row.first
    told = [f"**{number}. {row.title}.** A fault is: {first.injected}."]
    told += [
        f"Recovery is measured {how}."
        for how in dict.fromkeys(one.recovery_of for one in row.figures if one.recovery_s)
    ]
    notes = list(dict.fromkeys(one.note for one in row.figures if one.note))
    if len(notes) == 1:
        told += notes
    else:
        told += [f"`{parameters(one)}`: {one.note}" for one in row.figures if one.note]
    seconds = sum(one.took_s for one in row.figures)
    some = (
        f" ({', '.join(f'`{parameters(one)}`' for one in row.figures)})" if 1 < len(row.figures) < 7 else ""
    )
    told.append(f"{len(row.figures)} test{'s' * (len(row.figures) > 1)}{some}, {seconds:,.0f} s.")
    text = textwrap.fill(" ".join(told), WIDTH, break_long_words=False, break_on_hyphens=False)
    return text + f'\n\n```sh\nuv run pytest -n 0 -m "" {row.command}\n```'


def parameters(one: Figures) -> str:
    """What stands in brackets behind a test's name."""
    return one.test.partition("[")[2].removesuffix("]")


def recording_tests(folder: Path = TESTS) -> dict[str, str]:
    """Every test that records figures: its id without parameters -> the first line of why it is there."""
    found = {}
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                names = [argument.arg for argument in [*node.args.args, *node.args.kwonlyargs]]
                if "figures" in names:
                    found[f"{path.relative_to(ROOT)}::{node.name}"] = (ast.get_docstring(node) or "").split(
                        "\n"
                    )[0]
    return found


def missing(figures: list[Figures]) -> list[str]:
    """The part about tests that record figures and are not in the file, if there are any."""
    there = {one.test.partition("[")[0] for one in figures}
    lines = [f"- `{test}`: {why}" for test, why in recording_tests().items() if test not in there]
    return ["## Not in this run", "\n".join(lines)] if lines else []


INTRODUCTION = """
What jobrunner does when processes die, freeze and block, when Redis goes away, stands still, fails over, fills up, and when
the wire between them loses things. The figures are what each test in `tests/chaos` recorded when it last ran; nothing on this
page is typed by hand but the words. What holds in general, and why, is in [delivery guarantees](explanation/delivery.md).
"""

LEGEND = """
*Lost*: accepted by the store, and not ended (or, where a test does not wait for the end, not in the store). *Doubled*: a
second outcome was accepted for a job that had ended. *Run again*: runs after the first that no handler asked for; delivery
is at least once, so these are allowed where a lease ran out. *p50*, *p99*, *longest*: seconds of recovery, each row says
below from what to what; of few values p99 is the longest. Empty: nothing had to recover, or it is not measured.
"""

METHOD = """
**No accepted job is lost, and no job ends twice**, as long as Redis keeps what it acknowledged. Where Redis itself forgets,
because a replica without the last writes is promoted, the promise is smaller, and the last column says so: with
`durability="replicated"` nothing that was confirmed is lost; without it nothing is promised, and the number is what this run
happened to lose.

- Servers, Sentinels, clusters, workers and producers are real processes. They are ended by SIGKILL, frozen by SIGSTOP, and cut
  off by a proxy that drops, delays or resets a chosen command, or answers an error in its place.
- Producers, handlers and workers each append to a history of their own, one line a system call, which a SIGKILL leaves
  whole: accepted, started, ended, settled, taken back. At the end it is held against what the store holds, job by job. It is
  not counting: a job that ran twice cannot stand in for one that was lost.
- Where a worker is harmed, the leases that it held then are written down. A job that ran again must be one of them.
- The rules of this check are tested themselves, on histories with a planted fault (`tests/rig_tests/test_checker.py`).
- Leases are 0.5 to 3 s in these tests, and 30 s where nothing else is set. A job of a dead worker is taken back when its
  lease has run out, by whoever lives; so with 30 s recovery takes up to 40 s, in proportion. When nobody called the store
  for half a lease, it may have been the store that was away: then every lease gets one more. In the storms of 400 jobs and
  at full speed all workers are dead at times, again and again with leases of 1 s on a machine on which a worker needs longer
  than that to start: there the longest recovery is as long as the storm. In the larger storms one worker lives at any time.
- The protocol is checked besides, in every order of loss, delay and death, by [a model](explanation/model.md).
"""

FOUND = """
Each was mended, or said, before the figures above were taken, and has a small test of its own.

- Handlers that block the event loop one after the other left it no time to tick, so their worker was taken for dead after 20
  leases and all of them ran again. A handler that ends is a sign of life now (`tests/chaos/test_blocked_loop.py`).
- A job whose lease was lost, or that was cancelled, in the instant before its handler began held its slot for five seconds and
  counted as one that does not end; a worker with many of these stopped (`core/tests/worker/test_endings.py`).
- After an outage each loop of a worker went on after a wait of its own, up to five seconds (`core/tests/worker/test_health.py`).
- Redis with AOF everysec answers before it writes while its disk is busy, so killing its process can lose a reservation: five
  jobs ran twice. That is Redis' to decide; [delivery guarantees](explanation/delivery.md) promised more than that, and the test
  now holds what ran again against Redis' own file (`tests/chaos/test_restart.py`).
- Ten failovers in a row once lost a thousand confirmed jobs: the servers had no files, one came back empty, called itself
  primary until the Sentinels told it whom to follow, and was promoted when the other stalled. Replicas need append-only files
  too; `jobrunner doctor` warns (`tests/chaos/test_failovers.py`).
- The server's clock was set back by an hour while a worker died: its leases ended by the old clock, and its jobs stood still
  until that time came again (`tests/chaos/test_server_clock.py`).
- Where workers die so fast that for half a lease nobody calls the store, again and again, no lease is taken back until one of
  them lives for a lease: each silence may have been the store's. Jobs that wait go on meanwhile.
"""

NOT_TRIED = """
- Power that fails under a server, a disk that lies or rots: AOF everysec can lose the last second or two then.
- More than one machine. All runs are on loopback; partitions are made by proxies and frozen processes.
- Days. The longest single test runs for minutes; growth is looked at by slope, not by waiting.
- Managed Redis with commands of its own, and forks other than Valkey.
- macOS and Windows under faults. The plain tests know macOS; Windows has no SIGSTOP and no `embedded` store.
- A server that is well and lies for long. Single answers that no Redis gives are tried, each kind once.
- Larger storms. Five seeds of 20,000 jobs, 75 freezes, 20 restarts and 60 stops are what a night on this machine has room
  for; each row of the list above says which of them this run has. Workers have 5 slots here, and two processors carry all servers, workers and the test itself, so the
  figures say what recovers and in which proportion to the lease, not how fast a larger machine is.
"""

AGAIN = """
`.ci/nightly` runs every chaos test with its full version, writes the figures to `build/reliability.jsonl`, and this page from
them; then the other long tests. It takes about an hour on two processors. One test alone writes figures where
`RELIABILITY_FIGURES` names a file:

```sh
RELIABILITY_FIGURES=build/some.jsonl uv run pytest -n 0 -m "" tests/chaos/test_kill.py
uv run python docs/build_reliability.py build/some.jsonl   # keeps these figures and writes the page
```

[All figures](reliability.jsonl), one line a test, with each single recovery time.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
