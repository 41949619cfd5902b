"""What people see of the demo: a live picture at a terminal, a plain line a second elsewhere, nothing for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobrunner_sandbox.cast import Company
from jobrunner_sandbox.stage import Stage
from jobrunner_sandbox.story import Story
from jobrunner_sandbox.summary import Summary
from jobrunner_sandbox.watch import Watch

BAR = 22
"""Cells of a bar; two of them and the words fit into 80 columns."""

LINE_S = 1.0

LABELS = {
    "content": ("written", "posts written"),
    "rewriting": ("rewritten", "posts rewritten"),
    "image": ("drawn", "images drawn"),
    "approval": ("approved", "approvals"),
    "whatsapp": ("messages", "campaign"),
    "publish": ("published", "published"),
    "analytics": ("counted", "figures"),
}
"""Part -> what is said of it in a line, and beside its bars."""

COLORS = ("cyan", "magenta")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How far one part of the story is: for each tenant, done and in all."""

    name: str
    of: tuple[tuple[int, int], ...]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one moment."""

    jobs: int
    ended: int
    forwarded: int
    seconds: float
    tenants: tuple[str, ...]
    parts: tuple[Part, ...]
    posts: dict[str, int]


def sight_of(story: Story, watch: Watch, here: Stage, *, seconds: float, over: bool = False) -> Sight:
    """Look at how things stand; when it is over, the jobs that ended are all that there were."""
    return Sight(
        jobs=len(watch.ended_jobs) if over else max(story.jobs, len(watch.ended_jobs)),
        ended=len(watch.ended_jobs),
        forwarded=watch.forwarded,
        seconds=seconds,
        tenants=tuple(company.tenant for company in story.companies),
        parts=tuple(
            Part(
                name=part,
                of=tuple(
                    (story.done[part, company.tenant], story.total(part, company))
                    for company in story.companies
                ),
            )
            for part in here.parts.told
        ),
        posts=here.server.ledger.counts(),
    )


def headline(companies: Sequence[Company]) -> str:
    """Say in a line whose posts will be seen."""
    return "a month of posts: " + ", ".join(f"{company.posts} of {company.tenant}" for company in companies)


class Screen:
    """Where it is shown. A context manager.

    Args:
        quiet: Show nothing: the answer is for a program.
        console: Where to print; the terminal by default.
    """

    def __init__(self, *, quiet: bool, console: Console | None = None) -> None:
        self._quiet = quiet
        self._console = console or Console(stderr=quiet, highlight=False)
        self._live = (
            Live(console=self._console, refresh_per_second=8, transient=True) if self._is_live else None
        )
        self._last = 0.0

    @property
    def _is_live(self) -> bool:
        return not self._quiet and self._console.is_terminal

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._console.print(text, soft_wrap=True, markup=False)

    def show(self, sight: Sight) -> None:
        """Show how things stand."""
        if self._live is not None:
            self._live.update(self.picture(sight))
        elif not self._quiet and time.monotonic() - self._last >= LINE_S:
            self._last = time.monotonic()
            self.say(_line(sight))

    def conclude(self, summary: Summary, verdict: tuple[bool, str]) -> None:
        """Print what happened."""
        lines = [
            f"{summary.jobs:,} jobs in {summary.seconds:.1f} s, {summary.jobs_per_second:.1f} a second",
            *(
                f"{tenant} was through with its {counted(one.posts)} after {one.seconds:.1f} s"
                for tenant, one in summary.tenants.items()
            ),
        ]
        for shown in (_queues(summary), _effects(summary), Text("\n".join(lines))):
            self._console.print()
            self._console.print(shown)
        holds, text = verdict
        self._console.print(Text(text, style="bold green" if holds else "bold red"), soft_wrap=True)
        sys.stdout.flush()

    @staticmethod
    def picture(sight: Sight) -> Group:
        """How things stand, as a terminal shows it."""
        return _picture(sight)


def counted(posts: int) -> str:
    """`1 post`, `6 posts`."""
    return f"{posts:,} post" if posts == 1 else f"{posts:,} posts"


def _line(sight: Sight) -> str:
    tenants = []
    for at, tenant in enumerate(sight.tenants):
        counts = ", ".join(f"{part.of[at][0]} {LABELS[part.name][0]}" for part in sight.parts)
        tenants.append(f"{tenant}: {counts}")
    head = f"{sight.seconds:4.1f} s  {sight.ended} of {sight.jobs} jobs done, {sight.forwarded} retries"
    return "; ".join([head, *tenants])


def _picture(sight: Sight) -> Group:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=13)
    for _ in sight.tenants:
        table.add_column(width=BAR)
        table.add_column(justify="right", min_width=7)
    heads = [Text(tenant, style=f"bold {color}") for tenant, color in zip(sight.tenants, COLORS, strict=True)]
    table.add_row("", *(cell for head in heads for cell in (head, "")))
    for part in sight.parts:
        cells: list[str | Text] = []
        for (done, total), color in zip(part.of, COLORS, strict=True):
            cells += [_bar(done, total, color), f"{done}/{total}"]
        table.add_row(LABELS[part.name][1], *cells)
    rate = sight.ended / max(sight.seconds, 0.1)
    line = f"{sight.ended} of {sight.jobs} jobs, {sight.forwarded} retries, {rate:.1f} jobs a second"
    bar = Table.grid()  # a bar by itself does not end its line
    bar.add_row(ProgressBar(total=max(1, sight.jobs), completed=sight.ended, width=74))
    posts = "  ".join(f"{name} {count}" for name, count in sorted(sight.posts.items()))
    return Group(Text(line), bar, table, Text(posts or "nothing has arrived yet", style="dim"))


def _bar(number: int, most: int, style: str) -> Text:
    """A bar that is never empty where there is something."""
    cells = max(BAR * number // max(most, 1), 1) if number else 0
    return Text("█" * cells, style=style) + Text("·" * (BAR - cells), style="dim")


def _queues(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("queue")
    for name in ("jobs", "attempts", "retries", "failed"):
        table.add_column(name, justify="right")
    for queue, one in summary.queues.items():
        table.add_row(queue, f"{one.jobs:,}", f"{one.attempts:,}", f"{one.retries:,}", f"{one.failed:,}")
    table.add_row(
        *(
            "in all",
            f"{summary.jobs:,}",
            f"{summary.attempts:,}",
            f"{summary.retries:,}",
            f"{summary.failed:,}",
        ),
        style="bold",
    )
    return table


def _effects(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("what happened")
    table.add_column("asked for", justify="right")
    table.add_column("once", justify="right")
    for kind, finding in summary.proof.items():
        table.add_row(kind, f"{finding.expected:,}", f"{finding.once:,}")
        if kind == "posts published":
            for platform, count in summary.posts.items():
                table.add_row(f"  on {platform}", "", f"{count:,}")
    return table
