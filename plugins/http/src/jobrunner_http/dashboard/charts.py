"""Where the parts of a picture stand: state bars, minutes as columns, sparklines. Pure geometry; templates draw it.

Pictures are stretched to the room they get, so each has units of its own and no text inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from jobrunner.model import State
from jobrunner.views import Minute, QueueStats
from jobrunner_http.dashboard.phrases import clock

HEIGHT = 100.0
LEAST = 1.5
"""Percent of a bar that a state with any job gets: one failed job among a million is what people look for."""

ORDER = (
    State.ACTIVE,
    State.WAITING,
    State.DELAYED,
    State.PARKED,
    State.FAILED,
    State.CANCELLED,
    State.COMPLETED,
)
"""The states as bars and tables show them: what moves, what stands, what is over."""

RANGES = {"1h": (60, 1), "3h": (180, 3), "6h": (360, 5), "24h": (1440, 20)}
"""What a chart may go back to: the minutes, and the minutes of one column."""


class Part(msgspec.Struct, frozen=True):
    """A part of a bar: where it begins and how wide it is, in percent."""

    state: str
    jobs: int
    x: float
    width: float


class Column(msgspec.Struct, frozen=True):
    """A column of a chart, from the bottom up: what stands for the first and the second number."""

    x: int
    first: float
    second: float
    label: str
    numbers: tuple[int, int]


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Columns over time.

    Attributes:
        columns: Oldest first.
        top: The number that the chart's upper edge stands for.
        totals: The sums of both numbers.
        times: The first, the middle and the last column's time of day.
        each: Minutes of one column.
    """

    columns: list[Column]
    top: int
    totals: tuple[int, int]
    times: tuple[str, str, str]
    each: int


def numbers_of(stats: QueueStats) -> dict[str, int]:
    """A queue's jobs by state, in the order that they are shown."""
    return {state.value: getattr(stats, state.value) for state in ORDER}


def parts(numbers: dict[str, int]) -> list[Part]:
    """A bar's parts: shares of the whole, none too small to be seen."""
    shown = {state: number for state, number in numbers.items() if number > 0}
    total = sum(shown.values())
    raw = {state: max(LEAST, 100 * number / total) for state, number in shown.items()}
    scale = 100 / sum(raw.values()) if raw else 0
    found, x = [], 0.0
    for state, share in raw.items():
        width = share * scale
        found.append(Part(state, shown[state], round(x, 2), round(width, 2)))
        x += width
    return found


def chart(minutes: Iterable[Sequence[Minute]], first: str, second: str, *, each: int = 1) -> Chart:
    """Columns of two numbers, summed over several queues.

    Args:
        minutes: For each queue its minutes; all begin and end together.
        first: The number below: `completed`, `failed`, `retried` or `started`.
        second: The number above; empty for none.
        each: Minutes of one column.
    """
    summed: dict[int, tuple[int, int]] = {}
    for series in minutes:
        for at, minute in enumerate(series):
            key = at // each
            below, above = summed.get(key, (0, 0))
            summed[key] = (
                below + getattr(minute, first),
                above + (getattr(minute, second) if second else 0),
            )
    starts = [minute.at for minute in next(iter(minutes), ())][::each]
    top = ceiling(max((below + above for below, above in summed.values()), default=0))
    columns = [
        Column(at, _high(below, top), _high(above, top), clock(starts[at]), (below, above))
        for at, (below, above) in sorted(summed.items())
    ]
    labels = [clock(starts[at]) for at in (0, len(starts) // 2, -1)] if starts else ["", "", ""]
    return Chart(
        columns=columns,
        top=top,
        totals=(sum(one.numbers[0] for one in columns), sum(one.numbers[1] for one in columns)),
        times=(labels[0], labels[1], labels[2]),
        each=each,
    )


def spark(series: Sequence[Minute], *, each: int = 1) -> str:
    """The line of a queue's finished jobs: points in a box of 100 by 20; empty where nothing happened."""
    sums = [
        sum(one.completed + one.failed for one in series[start : start + each])
        for start in range(0, len(series), each)
    ]
    most = max(sums, default=0)
    if not most:
        return ""
    step = 100 / max(1, len(sums) - 1)
    return " ".join(f"{at * step:.1f},{19 - 17 * number / most:.1f}" for at, number in enumerate(sums))


def ceiling(number: int) -> int:
    """The round number at or above one that an axis ends at."""
    if number <= 4:
        return 4
    power = 10 ** math.floor(math.log10(number))
    return next(int(power * step) for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if power * step >= number)


def _high(number: int, top: int) -> float:
    return round(HEIGHT * number / top, 2)
