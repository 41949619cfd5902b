"""How numbers and lengths of time are said to people. Pure; nothing here knows where it is shown."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 job`, `1,204 jobs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(ms: int | None) -> str:
    """A length of time as people say it: `850 ms`, `12.4 s`, `3 min`, `5 h`, `2 d`; empty for none.

    Args:
        ms: Milliseconds; None, and what is below 0, is no length.
    """
    if ms is None or ms < 0:
        return ""
    for limit, divisor, unit in (
        (1000, 1, "ms"),
        (60_000, 1000, "s"),
        (3_600_000, 60_000, "min"),
        (86_400_000, 3_600_000, "h"),
    ):
        if ms < limit:
            value = ms / divisor
            return f"{value:.1f} {unit}" if unit == "s" and value < 60 else f"{value:.0f} {unit}"
    return f"{ms / 86_400_000:.0f} d"
