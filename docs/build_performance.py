"""Draw the figures of a benchmark, and write them into the pages that quote them.

    uv run python -m bench --json > docs/figures/performance.jsonl       # measured; a quiet machine, please
    uv run --group docs python docs/build_performance.py                 # pictures, README.md, docs/explanation/performance.md

Nothing on those pages is typed by hand; `tables` is what a test holds them to.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures" / "performance.jsonl"
IMAGES = ROOT / "docs" / "images"
INK, PAPER, OURS, BARE, WARN = "#334155", "#ffffff", "#2563eb", "#94a3b8", "#dc2626"


class About(msgspec.Struct, frozen=True):
    """Where and how it was measured."""

    server: str
    python: str
    cores: int
    jobs: int
    rounds: int


class Row(msgspec.Struct, frozen=True):
    """A figure, and the bare one of the same run beside it."""

    what: str
    figure: float
    unit: str
    beside: float | None = None
    note: str = ""


class Run(msgspec.Struct, frozen=True):
    """A whole run."""

    about: About
    rows: dict[str, Row]

    def figure(self, what: str) -> float:
        """A figure by its name."""
        return self.rows[what].figure

    def beside(self, what: str) -> float:
        """The bare figure beside it."""
        beside = self.rows[what].beside
        assert beside is not None, what
        return beside


def read(path: Path = FIGURES) -> Run:
    """Read what the benchmark printed."""
    first, *rest = path.read_text("utf-8").splitlines()
    rows = [msgspec.json.decode(line, type=Row) for line in rest]
    return Run(msgspec.json.decode(first, type=About), {row.what: row for row in rows})


def tables(run: Run) -> dict[Path, dict[str, str]]:
    """What belongs between the marks of each page: page -> mark -> Markdown."""
    return {
        ROOT / "README.md": {"bench": _short(run)},
        ROOT / "docs" / "explanation" / "performance.md": {
            "machine": _machine(run),
            "throughput": _throughput(run),
            "latency": _latency(run),
            "scripts": _scripts(run),
        },
    }


def put(page: str, mark: str, text: str) -> str:
    """A page with a text between its marks."""
    before, opening, rest = page.partition(f"<!-- {mark} -->\n")
    _, closing, after = rest.partition(f"<!-- /{mark} -->")
    assert opening, mark
    assert closing, mark
    return f"{before}{opening}{text}{closing}{after}"


def _lines(rows: Iterable[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _machine(run: Run) -> str:
    about = run.about
    server = about.server.capitalize()
    return (
        f"{server}, Python {about.python}, {about.cores} shared cores, {about.jobs:,} jobs a measure, the median of "
        f"{about.rounds} rounds.\n"
    )


def _short(run: Run) -> str:
    about, per_s = run.about, lambda what: f"{_round(run.figure(what))} jobs/s"
    head = (
        f"one worker process, Python {about.python}, {about.server.capitalize()}, {about.cores} shared cores"
    )
    sets = [
        f"{run.figure(what) / run.beside(what):.2f} of a `SET`"
        for what in ("enqueue one by one, async", "enqueue one by one, sync")
    ]
    return _lines(
        [
            (head, "jobrunner", "bare Redis beside it"),
            ("---", "---", "---"),
            (
                "drain, 10 jobs in flight",
                per_s("drain, 10 in flight"),
                f"{_round(run.beside('drain, 10 in flight'))} pop, read and delete loops/s",
            ),
            (
                "drain, 50 jobs in flight",
                per_s("drain, 50 in flight"),
                _round(run.beside("drain, 50 in flight")),
            ),
            ("drain with one JSON log line a job", per_s("drain, 50 in flight, a log line a job"), ""),
            ("drain, 10,000 tenants in turn", per_s("drain, 50 in flight, 10,000 tenants"), ""),
            ("enqueue one by one, async", per_s("enqueue one by one, async"), sets[0]),
            ("enqueue one by one, sync", per_s("enqueue one by one, sync"), sets[1]),
            ("enqueue in bulk", per_s("enqueue in bulk, 1 tenants"), ""),
            (
                "from enqueue to start on an idle worker, median",
                f"{run.figure('idle latency, median'):.2f} ms",
                f"{run.beside('idle latency, median'):.2f} ms `LPUSH` to `BLPOP`",
            ),
            ("memory of a waiting job", f"{_memory(run).figure:.0f} bytes", ""),
        ]
    )


def _throughput(run: Run) -> str:
    rows = [("jobs in flight", "jobs/s", "bare loop", "worker's CPU a job", "server's CPU a job")]
    rows.append(("---:", "---:", "---:", "---:", "---:"))
    for number in (1, 10, 50, 200):
        row = run.rows[f"drain, {number} in flight"]
        rows.append(
            (
                str(number),
                _round(row.figure),
                _round(row.beside) if row.beside else "",
                f"{run.figure(f'  CPU of the worker, {number} in flight'):.0f} us",
                f"{run.figure(f'  CPU of the server, {number} in flight'):.0f} us",
            )
        )
    return _lines(rows)


def _latency(run: Run) -> str:
    rows = [("", "jobrunner", "bare Redis"), ("---", "---:", "---:")]
    rows += [
        (what, f"{run.figure(what):.2f} ms", f"{run.beside(what):.2f} ms")
        for what in ("idle latency, median", "idle latency, p99")
    ]
    rows.append(("commands of an idle worker", f"{run.figure('idle worker, commands'):.1f} a second", ""))
    rows.append(("CPU of an idle worker", f"{run.figure('idle worker, CPU'):.2f} % of a core", ""))
    return _lines(rows)


def _scripts(run: Run) -> str:
    rows = [("script", "p99", ""), ("---", "---:", "---")]
    for row in _script_rows(run):
        name = row.what.removeprefix("script ").removesuffix(", p99")
        rows.append((name, f"{row.figure:.2f} ms", row.note))
    return _lines(rows)


def _script_rows(run: Run) -> list[Row]:
    return [row for name, row in run.rows.items() if name.startswith("script ")]


def _memory(run: Run) -> Row:
    return next(row for name, row in run.rows.items() if name.startswith("memory, "))


def _round(figure: float | None) -> str:
    """To three figures: the rest is noise."""
    assert figure is not None
    scale = 10 ** max(0, len(str(int(figure))) - 3)
    return f"{round(figure / scale) * scale:,}"


def draw(run: Run, folder: Path = IMAGES) -> None:
    """Draw the pictures as SVG, text as text, the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415 - of the docs group; the test of the tables does without

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "jobrunner", "svg.fonttype": "none", "font.family": "sans-serif"}
    mpl.rcParams |= {"text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK}
    mpl.rcParams |= {"axes.edgecolor": BARE, "axes.spines.top": False, "axes.spines.right": False}
    _draw_throughput(run, folder / "performance-throughput.svg")
    _draw_scripts(run, folder / "performance-scripts.svg")


def _draw_throughput(run: Run, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    numbers = (1, 10, 50, 200)
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for at, number in enumerate(numbers):
        row = run.rows[f"drain, {number} in flight"]
        first = not at
        axes.bar(at - 0.2, row.figure, 0.38, color=OURS, label="jobrunner" if first else None)
        axes.text(at - 0.2, row.figure, _round(row.figure), ha="center", va="bottom", fontsize=9)
        if row.beside:
            axes.bar(
                at + 0.2, row.beside, 0.38, color=BARE, label="bare pop, read, delete" if at == 1 else None
            )
            axes.text(at + 0.2, row.beside, _round(row.beside), ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(numbers)), [f"{number} in flight" for number in numbers])
    axes.set_ylabel("jobs a second, one worker process")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False)
    _save(figure, path)


def _draw_scripts(run: Run, path: Path) -> None:
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rows = _script_rows(run)[::-1]
    figure, axes = plt.subplots(figsize=(7, 0.5 + 0.38 * len(rows)))
    names = [row.what.removeprefix("script ").removesuffix(", p99") for row in rows]
    axes.barh(names, [row.figure for row in rows], color=OURS, height=0.6)
    for at, row in enumerate(rows):
        axes.text(row.figure, at, f" {row.figure:.2f}", va="center", fontsize=9)
    axes.axvline(5, color=WARN, linewidth=1, linestyle="--")
    axes.text(5, len(rows) - 0.5, "5 ms", color=WARN, ha="center", va="bottom", fontsize=9)
    axes.set_xlabel("p99 by the server's own clock, in ms")
    _save(figure, path)


def _save(figure: object, path: Path) -> None:
    figure.patch.set_facecolor(PAPER)  # type: ignore[attr-defined]
    figure.tight_layout()  # type: ignore[attr-defined]
    figure.savefig(path, metadata={"Date": None, "Creator": None})  # type: ignore[attr-defined]
    text = path.read_text("utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", "utf-8")


def main() -> int:
    """Write all of it."""
    run = read()
    for page, texts in tables(run).items():
        text = page.read_text("utf-8")
        for mark, table in texts.items():
            text = put(text, mark, table)
        page.write_text(text, "utf-8")
        print(page.relative_to(ROOT))
    draw(run)
    return 0


if __name__ == "__main__":
    sys.exit(main())
