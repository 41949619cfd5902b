"""What commands print: tables that line up, colours at a terminal, plain text in a pipe, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal, TypeVar

import click
import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

C = TypeVar("C", bound=Callable[..., object])

FOLDED = 20
"""Columns that a text which folds gets at the least; under that it is a ladder of letters."""

PIPE_WIDTH = 10_000
"""Columns of a table in a pipe: it is for programs, and is never wrapped."""


def json_option() -> Callable[[C], C]:
    """The `--json` of every listing."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def print_json(value: object) -> None:
    """Print a value as one line of JSON."""
    click.echo(msgspec.json.encode(value).decode())


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Sequence[str] = (),
    folds: str = "",
    empty: str = "",
) -> None:
    """Print rows under their columns.

    Args:
        columns: The headings.
        rows: A value a column.
        numbers: The headings whose values stand at the right.
        folds: The heading whose values are folded where a terminal is too narrow.
        empty: Printed where there is no row.
    """
    listed = [[_text(value) for value in row] for row in rows]
    if not listed:
        click.echo(empty, err=True)
        return
    console = stdout()
    heads = list(columns)
    if console.is_terminal:
        _print_fitting(console, heads, listed, numbers=numbers, folds=folds)
        return
    widths = _widths(heads, listed)
    for line in [heads, *listed]:  # plain columns that line up, nothing else
        cells = [
            " " * (width - cell_len(cell)) + cell
            if column in numbers
            else cell + " " * (width - cell_len(cell))
            for cell, width, column in zip(line, widths, heads, strict=True)
        ]
        click.echo("  ".join(cells).rstrip())


def _print_fitting(
    console: Console, columns: list[str], rows: list[list[str]], *, numbers: Sequence[str], folds: str
) -> None:
    """Print a table at a terminal. Where it is too wide, columns that say nothing are left out, then one folds."""
    if _total(_widths(columns, rows)) > console.width:
        telling = [
            at for at in range(len(columns)) if at == 0 or any(row[at] not in ("", "0") for row in rows)
        ]
        columns = [columns[at] for at in telling]
        rows = [[row[at] for at in telling] for row in rows]
    widths = _widths(columns, rows)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, column in enumerate(columns):
        align: Literal["left", "right"] = "right" if column in numbers else "left"
        table.add_column(column, justify=align, overflow="fold", no_wrap=column != folds)
        if column == folds:
            widths[at] = min(widths[at], FOLDED)
        else:  # rich would narrow it in its turn, and an id that is folded cannot be copied
            table.columns[at].min_width = widths[at]
    for row in rows:
        table.add_row(*row)
    width = max(console.width, _total(widths))
    Console(width=width, highlight=False, markup=False).print(table, soft_wrap=False)


def _widths(columns: list[str], rows: list[list[str]]) -> list[int]:
    return [max(cell_len(line[at]) for line in [columns, *rows]) for at in range(len(columns))]


def _total(widths: list[int]) -> int:
    """The columns of a terminal that a table takes: two between each."""
    return sum(widths) + 2 * (len(widths) - 1)


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, the values in line."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        click.echo(f"  {name.ljust(width)}  {_text(value)}")


def stdout() -> Console:
    """Standard output as rich sees it."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def when(ms: int | None) -> str:
    """A time of the store in this machine's zone, to the second."""
    if not ms:
        return ""
    try:
        moment = datetime.fromtimestamp(ms / 1000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):  # it was not the store that wrote it
        return f"{ms / 1000:.6g} s"
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """A text on one line. One from the store may hold anything; what a terminal would obey is shown instead."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _text(value: object) -> str:
    text = (
        f"{value:,}"
        if isinstance(value, int) and not isinstance(value, bool)
        else ""
        if value is None
        else str(value)
    )
    return printable(text)
