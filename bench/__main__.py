"""Measure the engine, with bare Redis of the same run beside it.

uv run python -m bench                          # a few minutes
uv run python -m bench --jobs 50000 --rounds 3 --only drain,latency --server valkey
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.measures import MEASURES, Row
from bench.servers import binaries, server


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    options.add_argument(
        "--jobs", type=int, default=20_000, help="jobs a measure; depth and scripts use 20 times as many"
    )
    options.add_argument("--rounds", type=int, default=3, help="the median of so many rounds is shown")
    options.add_argument("--only", default=",".join(MEASURES), help=f"of {', '.join(MEASURES)}")
    options.add_argument("--server", default="", help="redis or valkey; the first that is there by default")
    options.add_argument("--json", action="store_true", help="a JSON line about the run, then one a figure")
    args = options.parse_args()
    programs = binaries()
    name = args.server or next(iter(programs), "")
    if name not in programs:
        sys.exit(f"there is no {name or 'server'} here; install redis-server, or jobrunner-core[embedded]")
    unknown = [one for one in args.only.split(",") if one not in MEASURES]
    if unknown:
        sys.exit(f"unknown measures: {', '.join(unknown)}; choose from {', '.join(MEASURES)}")

    console = Console(stderr=True)
    rows: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(1, args.rounds + 1):
            for measure in args.only.split(","):
                with (
                    server(programs[name]) as one,
                    console.status(f"round {round_} of {args.rounds}: {measure}"),
                ):
                    title = one.title
                    for row in MEASURES[measure](one, Path(folder), args.jobs):
                        rows.setdefault(row.what, []).append(row)
    medians = [_median(same) for same in rows.values()]
    about = {
        "server": title,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "jobs": args.jobs,
        "rounds": args.rounds,
    }
    if args.json:
        print(json.dumps(about))
        for row in medians:
            print(msgspec.json.encode(row).decode())
        return
    Console(width=None if sys.stdout.isatty() else 140).print(
        _table(
            medians, f"{title}, Python {platform.python_version()}, {args.jobs:,} jobs, {args.rounds} rounds"
        )
    )


def _median(same: list[Row]) -> Row:
    """The median figures, with what the round that is nearest to them says of itself."""
    beside = [row.beside for row in same if row.beside is not None]
    figure = statistics.median(row.figure for row in same)
    nearest = min(same, key=lambda row: abs(row.figure - figure))
    return msgspec.structs.replace(
        nearest, figure=figure, beside=statistics.median(beside) if beside else None
    )


def _table(rows: list[Row], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    table.add_column("unit")
    table.add_column("bare", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("beside it")
    for row in rows:
        figure = f"{row.figure:,.2f}" if row.figure < 1000 else f"{row.figure:,.0f}"
        beside = (
            "" if row.beside is None else f"{row.beside:,.2f}" if row.beside < 1000 else f"{row.beside:,.0f}"
        )
        ratio = "" if not row.beside else f"{row.figure / row.beside:.2f}"
        table.add_row(row.what, figure, row.unit, beside, ratio, row.note)
    return table


if __name__ == "__main__":
    main()
