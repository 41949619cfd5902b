"""How numbers, times and values are written for people. Pure; nothing here knows HTML."""

from __future__ import annotations

import datetime as dt

import msgspec

from jobrunner.limits import Limit

NOTHING = "\N{EN DASH}"
"""What stands where there is no number."""

MAX_SHOWN = 40_000
"""Characters of a value that a page shows; the API has all of it."""

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def count(number: float | None) -> str:
    """A number with thousands marked."""
    return NOTHING if number is None else f"{number:,}"


def span(ms: float | None) -> str:
    """A length of time in its two largest units: `340 ms`, `12.4 s`, `3 min 12 s`, `2 d 4 h`."""
    if ms is None or ms < 0:
        return NOTHING
    if ms < 1000:
        return f"{ms:.0f} ms"
    if ms < 60_000:
        return f"{ms // 100 / 10:g} s"
    left = int(ms // 1000)
    parts: list[str] = []
    for unit, seconds in _UNITS:
        amount, left = divmod(left, seconds)
        if amount or parts:
            parts.append(f"{amount} {unit}" if amount else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def ago(ms: int | None, now_ms: int) -> str:
    """A moment as seen from now: `12.4 s ago`, `in 3 min`; less than a second is now."""
    if ms is None:
        return NOTHING
    passed = now_ms - ms
    if abs(passed) < 1000:
        return "now"
    whole = abs(passed) // 1000 * 1000
    return f"{span(whole)} ago" if passed > 0 else f"in {span(whole)}"


def moment(ms: int | None) -> str:
    """A moment by the calendar, in UTC."""
    found = _utc(ms)
    return NOTHING if found is None else found.strftime("%Y-%m-%d %H:%M:%S UTC")


def machine(ms: int | None) -> str:
    """A moment as machines write it; empty where it is none."""
    found = _utc(ms)
    return "" if found is None else found.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def clock(ms: int) -> str:
    """The time of day of a moment, in UTC."""
    found = _utc(ms)
    return NOTHING if found is None else found.strftime("%H:%M")


def size(amount: int) -> str:
    """A number of bytes."""
    for unit, each in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if amount >= each:
            return f"{amount / each:.4g} {unit}"
    return f"{amount} bytes"


def jobs(number: int) -> str:
    """So many jobs."""
    return f"{number:,} {'job' if number == 1 else 'jobs'}"


def pretty(value: object) -> str:
    """A value as indented JSON, cut where it is longer than a page should be."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode("utf-8", "replace")
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}\n… {len(text) - MAX_SHOWN:,} characters more; the API has all of it"


def short(value: object, most: int = 200) -> str:
    """A value on one line."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _utc(ms: int | None) -> dt.datetime | None:
    if ms is None:
        return None
    try:
        return dt.datetime.fromtimestamp(ms / 1000, tz=dt.UTC)
    except (ValueError, OverflowError, OSError):  # what is stored may be any number
        return None


LIMITS = {
    "max_active": "Jobs at once",
    "max_active_per_tenant": "Jobs at once, a tenant",
    "rate": "Rate",
    "rate_per_tenant": "Rate, a tenant",
    "weight": "Weight of a tenant",
    "max_waiting": "Jobs that may wait",
    "max_waiting_bytes": "Bytes that may wait",
}
"""What limits are called on a page, by their names."""


def limit_name(one: Limit) -> str:
    """What a limit is called; a name that is not known stands for itself."""
    return LIMITS.get(one.name, one.name.replace("_", " ").capitalize())


def limit_value(value: float | str | None, name: str = "") -> str:
    """A limit as people read it: nothing where nothing is said, `any` where nothing is bounded."""
    match value:
        case None:
            return ""
        case 0 | "":
            return "any"
        case int() if name == "max_waiting_bytes":
            return size(value)
        case int():
            return count(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)
