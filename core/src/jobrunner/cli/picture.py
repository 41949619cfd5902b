"""What `jobrunner top` shows at a terminal: a header, the totals, the queues, the workers, each as wide as there is room.

It draws what it is given and never reads the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from jobrunner.cli.columns import Column, queue_columns, rows_that_fit, table, worker_columns
from jobrunner.cli.glyphs import Glyphs, sparkline
from jobrunner.cli.keyboard import keys
from jobrunner.cli.output import printable
from jobrunner.errors import StoreError
from jobrunner.pulse import Pulse, Sums
from jobrunner.wording import counted, span

T = TypeVar("T")

TREND = 60
"""Looks that a trend goes back at the most."""

FRAME = 9
"""Lines that are neither a queue nor a worker: header, trouble, totals, headings, gaps, and what was left out."""

ENDS = frozenset("qQ\x1b\x04")
"""Keys that end it: q, Escape, and Ctrl-D."""


class Picture:
    """The last look as rich draws it, with the trend of those before.

    Args:
        address: The store's, without a password.
        every_s: Seconds between two looks.
    """

    def __init__(self, address: str, *, every_s: float) -> None:
        self._address = address
        self._every_s = every_s
        self._found: Pulse | None = None
        self._trouble = ""
        self._seen = 0.0
        self._trends: dict[str, deque[float]] = {}
        self._trend: deque[float] = deque(maxlen=TREND)

    def take(self, found: Pulse) -> None:
        """Draw this look from now on."""
        self._found, self._trouble, self._seen = found, "", time.monotonic()
        if found.totals.completed_per_second is not None:
            self._trend.append(found.totals.completed_per_second)
        for queue in found.queues:
            trend = self._trends.setdefault(queue.name, deque(maxlen=TREND))
            if queue.completed_per_second is not None:
                trend.append(queue.completed_per_second)

    def miss(self, error: StoreError) -> None:
        """Say that there is no newer look, and why."""
        self._trouble = " ".join(str(error).split())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it in the room that there is."""
        glyphs, width = Glyphs.of(ascii_only=options.ascii_only), options.max_width
        yield self._header(width)
        found = self._found
        if found is None:
            yield Text("looking ...", style="dim")
            return
        yield self._state(width)
        yield from self._totals(found.totals, glyphs, width)
        queues, workers = rows_that_fit(len(found.queues), len(found.workers), console.size.height - FRAME)
        style = "dim" if self._trouble else ""
        trends = {name: list(trend) for name, trend in self._trends.items()}
        yield from _part("queues", queue_columns(glyphs, trends), found.queues, queues, width, style)
        yield Text("")
        yield from _part("workers", worker_columns(glyphs, found.at), found.workers, workers, width, style)

    def _header(self, width: int) -> Text:
        left = Text.assemble((" jobrunner top ", "bold reverse"), (f"  {printable(self._address)}", "dim"))
        right = Text(f"every {self._every_s:g} s   q ends ", style="dim")
        if left.cell_len + right.cell_len < width:
            left.append(" " * (width - left.cell_len - right.cell_len)).append_text(right)
        left.truncate(width, overflow="ellipsis")
        return left

    def _state(self, width: int) -> Text:
        """A blank line, or what is wrong and how old the numbers are."""
        if not self._trouble:
            return Text("")
        age = span(int((time.monotonic() - self._seen) * 1000))
        line = Text(f" no look for {age}: {printable(self._trouble)}", style="bold red")
        line.truncate(width, overflow="ellipsis")
        return line

    def _totals(self, totals: Sums, glyphs: Glyphs, width: int) -> Iterator[Text]:
        tiles = [
            (_per_second(totals.completed_per_second), "done/s", "bold green"),
            (
                _per_second(totals.failed_per_second),
                "failed/s",
                "bold red" if totals.failed_per_second else "bold",
            ),
            (f"{totals.waiting:,}", "waiting", "bold"),
            (f"{totals.delayed:,}", "delayed", "bold"),
            (f"{totals.active:,}", "active", "bold"),
            (f"{totals.parked:,}", "parked", "bold yellow") if totals.parked else None,
            (span(totals.oldest_waiting_ms), "oldest", "bold") if totals.waiting else None,
            (
                f"{totals.workers:,}",
                "worker" if totals.workers == 1 else "workers",
                "bold" if totals.workers else "bold red",
            ),
        ]
        line = Text()
        for number, label, style in filter(None, tiles):
            piece = Text.assemble(" " if not line else "   ", (number, style), " ", (label, "dim"))
            if line.cell_len + piece.cell_len > width:
                break
            line.append_text(piece)
        room = min(TREND, width - line.cell_len - 3)
        if room >= 8 and len(self._trend) > 1:
            line.append("   ").append(sparkline(list(self._trend)[-room:], glyphs), style="green")
        yield line
        yield Text("")


def _part(
    title: str, columns: Sequence[Column[T]], things: Sequence[T], rows: int, width: int, style: str
) -> Iterator[Table | Text]:
    """A table of the first things that there is room for, the busiest where that is not all."""
    if not things:
        none = (
            "no queue is known: install a plugin"
            if title == "queues"
            else "no worker: start one with `jobrunner run`"
        )
        yield Text(f" {none}", style="yellow")
    else:
        drawn, left = table(title, columns, things, rows=rows, width=width)
        drawn.style = style
        yield drawn
        if left:
            yield Text(f"  and {counted(left, title[:-1])} more with less to do", style="dim")


def _per_second(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:,.1f}"


class Terminal:
    """A terminal that shows looks while it is entered; q sets `stop`.

    Args:
        address: The store's, without a password.
        stop: Set when a key says so.
        every_s: Seconds between two looks.
        whole_screen: Whether to take the whole screen and give it back at the end, or to leave the last picture.
    """

    def __init__(self, address: str, stop: asyncio.Event, *, every_s: float, whole_screen: bool) -> None:
        self._picture = Picture(address, every_s=every_s)
        self._stop = stop
        self._live = Live(
            self._picture,
            screen=whole_screen,
            auto_refresh=False,
            console=Console(highlight=False, markup=False),
        )
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin to show."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(keys(self._pressed))
            stack.enter_context(self._live)
            stack.enter_context(self._resized())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the terminal back."""
        self._stack.close()

    def show(self, found: Pulse) -> None:
        """Show a look."""
        self._picture.take(found)
        self._live.refresh()

    def lost(self, error: StoreError) -> None:
        """Leave the last look, and say that it is old."""
        self._picture.miss(error)
        self._live.refresh()

    def _pressed(self, text: str) -> None:
        if ENDS & set(text) and (
            text == "\x1b" or not text.startswith("\x1b")
        ):  # an arrow key begins with Escape
            self._stop.set()

    @contextlib.contextmanager
    def _resized(self) -> Iterator[None]:
        """Draw again when the terminal has another size."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_signal_handler(signal.SIGWINCH, self._live.refresh)
        except (AttributeError, NotImplementedError, RuntimeError, ValueError):  # no such signal here
            yield
            return
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
