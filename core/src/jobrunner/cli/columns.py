"""The tables of a picture: columns that are left out one after the other where a terminal is narrow, rows that fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from rich.table import Table
from rich.text import Text

from jobrunner.cli.glyphs import Glyphs, bar, sparkline
from jobrunner.cli.output import printable
from jobrunner.pulse import QueuePulse
from jobrunner.views import WorkerView
from jobrunner.wording import span

T = TypeVar("T")

GAP = 2
"""Columns of the terminal between two of a table."""

NAME_KEPT = 16
"""What is kept of a long name before columns are left out for it."""

NAME_AT_LEAST = 8
"""What is kept of it where even the columns that always stay have no room."""

LAG_MS = (100, 1000)
"""Milliseconds of loop lag, or to the store and back, that are slow, and that are too slow."""


class Column(NamedTuple, Generic[T]):
    """One column. Those of the highest `rank` are the first to be left out; 0 always stays."""

    title: str
    draw: Callable[[T], Text]
    rank: int
    is_left: bool = False


def rows_that_fit(queues: int, workers: int, height: int) -> tuple[int, int]:
    """How many queues and workers to show in some lines; workers get a third, or what queues leave."""
    height = max(2, height)
    if queues + workers <= height:
        return queues, workers
    few = min(workers, max(1, height // 3, height - queues))
    return min(queues, height - few), few


def table(
    title: str, columns: Sequence[Column[T]], things: Sequence[T], *, rows: int, width: int
) -> tuple[Table, int]:
    """Draw some things.

    Args:
        title: Over the first column.
        columns: The first is the name.
        things: In their order; where there is no room for all, the busiest are drawn, in that order.
        rows: How many to draw.
        width: Columns of the terminal.

    Returns:
        The table, and how many things were left out.
    """
    if len(things) > rows:
        busiest = sorted(range(len(things)), key=lambda at: (-_load(things[at]), at))[:rows]
        things, left = [things[at] for at in sorted(busiest)], len(things) - rows
    else:
        left = 0
    cells = {column.title: [column.draw(thing) for thing in things] for column in columns}
    kept = _that_fit(columns, cells, width)
    room = width - sum(_width(column, cells) + GAP for column in kept[1:]) - GAP
    drawn = Table(box=None, pad_edge=True, padding=(0, 1), header_style="dim", collapse_padding=False)
    for at, column in enumerate(kept):
        align: Literal["left", "right"] = "left" if column.is_left else "right"
        size = min(_width(column, cells), max(room, NAME_AT_LEAST)) if at == 0 else _width(column, cells)
        heading = column.title if at else title
        drawn.add_column(
            heading, justify=align, no_wrap=True, overflow="ellipsis", min_width=size, max_width=size
        )
    for at in range(len(things)):
        drawn.add_row(*(cells[column.title][at] for column in kept))
    return drawn, left


def queue_columns(glyphs: Glyphs, trends: Mapping[str, Sequence[float]]) -> list[Column[QueuePulse]]:
    """What is shown of a queue."""
    return [
        Column(
            "queue",
            lambda one: Text(printable(one.name), style="bold" if one.active else ""),
            0,
            is_left=True,
        ),
        Column("state", lambda one: _standing(one, glyphs), 0, is_left=True),
        Column("waiting", lambda one: _number(one.waiting), 1),
        Column("oldest", lambda one: Text(span(one.oldest_waiting_ms)), 6),
        Column("delayed", lambda one: _number(one.delayed), 7),
        Column("active", lambda one: _number(one.active, "cyan"), 3),
        Column("done/s", lambda one: _rate(one.completed_per_second, "green"), 2),
        Column(
            "trend",
            lambda one: Text(sparkline(trends.get(one.name, ())[-12:], glyphs), style="green"),
            9,
            is_left=True,
        ),
        Column("failed/s", lambda one: _rate(one.failed_per_second, "red"), 8),
        Column("failed", lambda one: _number(one.failed, "red"), 4),
        Column("parked", lambda one: _number(one.parked, "yellow"), 5),
        Column("completed", lambda one: _number(one.completed), 11),
        Column("workers", lambda one: _number(one.workers), 10),
    ]


def worker_columns(glyphs: Glyphs, now_ms: int) -> list[Column[WorkerView]]:
    """What is shown of a worker."""
    return [
        Column(
            "worker",
            lambda one: Text(printable(one.id), style="bold" if one.running else ""),
            0,
            is_left=True,
        ),
        Column("state", lambda one: _life(one, glyphs), 0, is_left=True),
        Column("slots", lambda one: _slots(one, glyphs), 1, is_left=True),
        Column("loop lag", lambda one: _delay(one.loop_lag_ms), 2),
        Column("store", lambda one: _delay(one.store_ms), 3),
        Column("completed", lambda one: _number(one.completed), 4),
        Column("failed", lambda one: _number(one.failed, "red"), 4),
        Column("up", lambda one: Text(span(max(0, now_ms - one.started_ms))), 5),
        Column("queues", lambda one: _number(len(one.queues)), 6),
    ]


def _that_fit(
    columns: Sequence[Column[T]], cells: Mapping[str, Sequence[Text]], width: int
) -> list[Column[T]]:
    """The columns that there is room for, those that matter least left out first."""
    kept = list(columns)
    name = min(_width(columns[0], cells), NAME_KEPT)
    while name + GAP + sum(_width(column, cells) + GAP for column in kept[1:]) > width:
        least = max(kept, key=lambda column: column.rank)
        if least.rank == 0:
            break
        kept.remove(least)
    return kept


def _width(column: Column[T], cells: Mapping[str, Sequence[Text]]) -> int:
    return max(len(column.title) + 1, *(cell.cell_len for cell in cells[column.title]))


def _load(thing: object) -> float:
    """How much a queue or a worker has to do, to show the busiest."""
    if isinstance(thing, QueuePulse):
        return thing.active + thing.waiting + (thing.completed_per_second or 0) + thing.delayed / 1000
    return thing.running + 1.0 if isinstance(thing, WorkerView) else 0.0


def _standing(one: QueuePulse, glyphs: Glyphs) -> Text:
    if one.paused:
        return Text(f"{glyphs.wrong} paused", style="yellow")
    if not one.workers and (one.waiting or one.delayed):
        return Text(f"{glyphs.wrong} no worker", style="bold red")
    if one.active:
        return Text(f"{glyphs.busy} busy", style="green")
    if one.held:
        return Text(f"{glyphs.wrong} held", style="yellow")
    return Text(f"{glyphs.idle} idle", style="dim")


def _life(one: WorkerView, glyphs: Glyphs) -> Text:
    if not one.alive:
        return Text(f"{glyphs.wrong} silent", style="bold red")
    if one.stopping:
        return Text(f"{glyphs.wrong} stopping", style="yellow")
    return Text(f"{glyphs.busy} alive", style="green")


def _slots(one: WorkerView, glyphs: Glyphs) -> Text:
    slots = sum(one.queues.values())
    full, empty = bar(one.running, slots, 10, glyphs)
    text = Text.assemble((full, "cyan"), (empty, "dim"), f" {one.running}/{slots}")
    return text.append(f" {one.abandoned} stuck", style="bold red") if one.abandoned else text


def _number(value: int, style: str = "") -> Text:
    return Text(f"{value:,}", style=style if value else "dim")


def _rate(value: float | None, style: str) -> Text:
    return Text("-" if value is None else f"{value:,.1f}", style=style if value else "dim")


def _delay(ms: float) -> Text:
    slow, too_slow = LAG_MS
    style = "bold red" if ms >= too_slow else "yellow" if ms >= slow else ""
    return Text(f"{ms:.1f} ms" if isinstance(ms, float) else f"{ms} ms", style=style)
