"""What people see of the demo: a live picture at a terminal, a plain line a second elsewhere, nothing for programs."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

BAR = 18
"""Cells of a bar; two of them and the words fit into 80 columns."""

PLATFORMS = ("facebook", "instagram", "linkedin", "mastodon", "x")
LINE_S = 1.0


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand at one moment."""

    waiting: int
    delayed: int
    active: int
    completed: int
    failed: int
    retries: int
    posts: dict[str, int]
    seconds: float

    @property
    def jobs(self) -> int:
        """All jobs."""
        return self.waiting + self.delayed + self.active + self.completed + self.failed


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
            self._console.print(text, soft_wrap=True)

    def show(self, sight: Sight) -> None:
        """Show how things stand."""
        if self._live is not None:
            self._live.update(self.picture(sight))
        elif not self._quiet and time.monotonic() - self._last >= LINE_S:
            self._last = time.monotonic()
            posts = ", ".join(f"{name} {sight.posts.get(name, 0)}" for name in PLATFORMS)
            self._console.print(
                f"{sight.seconds:4.1f} s  {sight.completed} of {sight.jobs} jobs done, {sight.retries} retries; posts: {posts}",
                soft_wrap=True,
            )

    def conclude(
        self, posts: dict[str, int], facts: list[tuple[str, str]], verdict: tuple[bool, str]
    ) -> None:
        """Print what happened."""
        table = Table(
            title="what happened", title_justify="left", box=None, show_header=False, pad_edge=False
        )
        table.add_column()
        table.add_column(justify="right")
        for name, value in [*facts, *[(f"posts on {name}", f"{number:,}") for name, number in posts.items()]]:
            table.add_row(name, value)
        self._console.print(table)
        holds, text = verdict
        self._console.print(Text(text, style="bold green" if holds else "bold red"), soft_wrap=True)
        sys.stdout.flush()

    @staticmethod
    def picture(sight: Sight) -> Group:
        """How things stand, as a terminal shows it."""
        return _picture(sight)


def _picture(sight: Sight) -> Group:
    states, posts = _bars(), _bars()
    for name, number, style in (
        ("waiting", sight.waiting, ""),
        ("delayed", sight.delayed, "yellow"),
        ("active", sight.active, "cyan"),
        ("completed", sight.completed, "green"),
        ("failed", sight.failed, "red"),
    ):
        states.add_row(Text(name, style=style), f"{number:,}", _bar(number, sight.jobs, style))
    most = max(1, *[sight.posts.get(name, 0) for name in PLATFORMS])
    for name in PLATFORMS:
        number = sight.posts.get(name, 0)
        posts.add_row(name, f"{number:,}", _bar(number, most, "blue"))
    both = Table.grid(padding=(0, 4))
    both.add_row(states, posts)
    done = sight.completed + sight.failed
    line = Text(
        f"{done} of {sight.jobs} jobs, {sight.retries} retries, {done / max(sight.seconds, 0.1):.1f} jobs a second"
    )
    bar = Table.grid()  # a bar by itself does not end its line
    bar.add_row(ProgressBar(total=max(1, sight.jobs), completed=done, width=60))
    return Group(line, bar, both)


def _bars() -> Table:
    """A table of names, numbers and bars."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right", min_width=4)
    table.add_column(width=BAR)
    return table


def _bar(number: int, most: int, style: str) -> Text:
    """A bar that is never empty where there is something."""
    cells = max(round(BAR * number / most), 1) if number else 0
    return Text("█" * cells, style=style)
