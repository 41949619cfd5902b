"""A job's attempts on a line of time: when it waited, ran, failed and was tried again. Pure geometry; a template draws it.

What is stored is when an attempt ended and, for an error, how long it took. Where a beginning is not known, the picture
says so instead of guessing.
"""

from __future__ import annotations

import msgspec

from jobrunner.model import State
from jobrunner.views import Happening, JobView
from jobrunner_http.dashboard.phrases import span

WIDTH = 1000
LEAST = 6
"""The least width of a run: one of a few milliseconds among hours is to be seen."""

MAX_ROWS = 25
"""Rows that are drawn, the newest; the table below has all of them."""

KINDS = {
    "error": "failed",
    "crash": "failed",
    "buried": "failed",
    "result": "completed",
    "snoozed": "delayed",
    "parked": "parked",
    "cancelled": "cancelled",
    "released": "waiting",
}
"""The state whose colour a line of the history has."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the picture.

    Attributes:
        label: What it is.
        note: What became of it.
        kind: The state whose colour it has.
        wait_x: Where the wait before it begins; and how wide it is.
        wait_width: See `wait_x`.
        run_x: Where it begins; and how wide it is.
        run_width: See `run_x`.
        exact: Whether its beginning is known; else the bar shows the wait and the run together.
        length: How long it took, for people.
    """

    label: str
    note: str
    kind: str
    wait_x: int
    wait_width: int
    run_x: int
    run_width: int
    exact: bool
    length: str


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """The picture: its rows, the moments of its edges in ms since 1970, and how many rows were left out."""

    rows: list[Row]
    start: int
    end: int
    left_out: int


class _Scale:
    def __init__(self, start: int, end: int) -> None:
        self._start = start
        self._length = max(1, end - start)

    def x(self, at: int) -> int:
        return round(WIDTH * min(max(at - self._start, 0), self._length) / self._length)


def timeline(job: JobView, now_ms: int) -> Timeline:
    """Draw a job's life up to now, or to its end."""
    last = max((one.at for one in job.history), default=job.enqueued_at)
    end = max(job.ended_at or now_ms, last, job.enqueued_at + 1)
    scale = _Scale(job.enqueued_at, end)
    rows: list[Row] = []
    before = due = job.enqueued_at
    number = 0
    for one in job.history:
        if one.what in ("error", "crash", "buried", "result"):
            number += 1
        rows.append(_row(one, before, due, number, scale))
        before, due = one.at, one.at + one.delay_ms
    match job.state:
        case State.ACTIVE:
            rows.append(_running(job, before, number + 1, scale, end))
        case State.WAITING | State.DELAYED | State.PARKED:
            rows.append(_standing(job, before, scale, end))
        case State.COMPLETED if not any(one.what == "result" for one in job.history):
            done = Happening(at=job.ended_at or end, what="result")
            rows.append(_row(done, before, due, number + 1, scale))
        case _:
            pass
    return Timeline(
        rows=rows[-MAX_ROWS:], start=job.enqueued_at, end=end, left_out=max(0, len(rows) - MAX_ROWS)
    )


def _row(one: Happening, before: int, due: int, number: int, scale: _Scale) -> Row:
    exact = one.what == "error"
    begun = max(before, one.at - one.duration_ms) if exact else min(due, one.at)
    tried = one.what in ("error", "crash", "buried", "result")
    note = {
        "error": one.error_type,
        "crash": "its worker was lost",
        "buried": "its worker was lost once too often",
        "result": "completed",
    }.get(one.what, one.message)
    if one.delay_ms:
        note = f"{note}; again after {span(one.delay_ms)}" if note else f"again after {span(one.delay_ms)}"
    return Row(
        label=f"Attempt {number}" if tried else one.what.capitalize(),
        note=note,
        kind=KINDS.get(one.what, "waiting"),
        length=span(one.duration_ms) if exact else "",
        exact=exact or not tried,
        **_places(before, begun if tried else one.at, one.at, scale),
    )


def _running(job: JobView, before: int, number: int, scale: _Scale, end: int) -> Row:
    begun = job.started_at or before
    return Row(
        label=f"Attempt {number}",
        note="running",
        kind="active",
        length=span(end - begun),
        exact=job.started_at is not None,
        **_places(before, begun, end, scale),
    )


def _standing(job: JobView, before: int, scale: _Scale, end: int) -> Row:
    notes = {"waiting": "in line", "delayed": "not due yet", "parked": "held back"}
    return Row(
        label=job.state.capitalize(),
        note=notes[job.state],
        kind=job.state,
        length=span(end - before),
        exact=True,
        **_places(before, before, end, scale),
    )


def _places(before: int, begun: int, ended: int, scale: _Scale) -> dict[str, int]:
    run_x = min(scale.x(begun), WIDTH - LEAST)
    return {
        "wait_x": min(scale.x(before), run_x),
        "wait_width": max(0, run_x - scale.x(before)),
        "run_x": run_x,
        "run_width": max(LEAST, scale.x(ended) - run_x),
    }
