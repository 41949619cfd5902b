"""The dashboard's words and pictures: pure functions, so their edges are cheap to look at."""

import msgspec
import pytest

from jobrunner.views import Happening, JobView, Minute
from jobrunner_http.dashboard import charts, phrases
from jobrunner_http.dashboard.failing import above
from jobrunner_http.dashboard.schemas import fields_of
from jobrunner_http.dashboard.timeline import LEAST, MAX_ROWS, WIDTH, timeline

SECOND = 1000
HOUR = 3600 * SECOND


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, phrases.NOTHING),
        (-1, phrases.NOTHING),
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1 s"),
        (12_480, "12.4 s"),
        (59_999, "59.9 s"),
        (60_000, "1 min"),
        (192_000, "3 min 12 s"),
        (HOUR, "1 h"),
        (HOUR + 1000, "1 h"),
        (187_200_000, "2 d 4 h"),
    ],
)
def test_spans_are_told_in_their_two_largest_units(ms, words):
    """A glance is to be enough."""
    assert phrases.span(ms) == words


def test_moments_are_told_from_now_and_by_the_calendar():
    """Ahead and behind; a clock that is a little off is no reason for a negative time."""
    assert phrases.ago(10_000, 10_400) == phrases.ago(10_400, 10_000) == "now"
    assert phrases.ago(0, 90_500) == "1 min 30 s ago"
    assert phrases.ago(HOUR, 0) == "in 1 h"
    assert phrases.moment(1_700_000_000_000) == "2023-11-14 22:13:20 UTC"
    assert phrases.moment(10**20) == phrases.NOTHING
    assert phrases.machine(10**20) == ""


def test_long_values_are_cut_and_say_so():
    """A payload of a quarter of a megabyte would make a page that nobody can scroll."""
    text = phrases.pretty({"text": "x" * 100_000})
    assert len(text) < phrases.MAX_SHOWN + 100
    assert "the API has all of it" in text
    assert phrases.short("a\n\nb " + "x" * 500, 10) == "a b xxxxx…"


def test_one_failed_job_among_a_million_is_seen():
    """The bar's parts fill it, in order, and none is too narrow to be seen."""
    parts = charts.parts({"active": 0, "waiting": 1_000_000, "failed": 1})
    assert [(part.state, part.jobs) for part in parts] == [("waiting", 1_000_000), ("failed", 1)]
    assert parts[1].width > 1
    assert sum(part.width for part in parts) == pytest.approx(100, abs=0.1)
    assert charts.parts({"active": 0}) == []


def test_charts_add_queues_and_minutes_up():
    """Nothing is lost where minutes share a column, nor where the last column is not full."""
    series = [Minute(at=at * 60_000, completed=at, failed=1) for at in range(7)]
    drawn = charts.chart([series, series], "completed", "failed", each=3)
    assert drawn.totals == (42, 14)
    assert [one.numbers for one in drawn.columns] == [(6, 6), (24, 6), (12, 2)]
    assert all(one.first + one.second <= 100 for one in drawn.columns)
    assert drawn.times == ("00:00", "00:03", "00:06")
    assert charts.chart([], "completed", "").columns == []
    assert charts.spark(series) != ""
    assert charts.spark([Minute(at=0)]) == ""


@pytest.mark.parametrize("number", [0, 1, 4, 5, 99, 100, 101, 7_654_321])
def test_axes_end_at_a_round_number_at_or_above(number):
    """A column that stands out of the picture would lie."""
    top = charts.ceiling(number)
    assert number <= top <= max(4, number * 2)


def job(state="failed", history=(), **more):
    fields = {"id": "j", "queue": "q", "tenant": "", "priority": 0, "attempt": 1, "runs": 1, "crashes": 0}
    return JobView(state=state, enqueued_at=0, history=list(history), **fields | more)


def failed(at, duration_ms, delay_ms=0):
    return Happening(at=at, what="error", error_type="E", duration_ms=duration_ms, delay_ms=delay_ms)


def test_timeline_shows_waits_and_runs_where_they_were():
    """Two attempts of ten seconds, the second after a wait of twenty."""
    history = [failed(10 * SECOND, 5 * SECOND, 20 * SECOND), failed(40 * SECOND, 10 * SECOND)]
    picture = timeline(job(history=history, ended_at=40 * SECOND), now_ms=HOUR)
    first, second = picture.rows
    assert (picture.start, picture.end, picture.left_out) == (0, 40 * SECOND, 0)
    assert (first.wait_x, first.wait_width, first.run_x, first.run_width) == (0, 125, 125, 125)
    assert (second.wait_x, second.wait_width, second.run_x, second.run_width) == (250, 500, 750, 250)
    assert (first.label, first.note, first.length) == ("Attempt 1", "E; again after 20 s", "5 s")


def test_timeline_of_a_job_that_runs_ends_now():
    """The last row grows while one looks."""
    picture = timeline(job(state="active", started_at=30 * SECOND), now_ms=60 * SECOND)
    (row,) = picture.rows
    assert (row.kind, row.note, row.exact, row.run_x, row.run_width) == ("active", "running", True, 500, 500)


def test_timeline_says_where_a_beginning_is_not_known():
    """A completed run's beginning is not kept; the picture does not invent one."""
    done = Happening(at=40 * SECOND, what="result")
    history = [failed(10 * SECOND, 1, 20 * SECOND), done]
    picture = timeline(job("completed", history, ended_at=40 * SECOND), now_ms=HOUR)
    assert [(row.label, row.exact) for row in picture.rows] == [("Attempt 1", True), ("Attempt 2", False)]
    assert picture.rows[1].run_x == 750
    assert len(timeline(job("completed", ended_at=9), now_ms=10).rows) == 1


def test_timeline_stays_inside_its_picture_whatever_is_stored():
    """Clocks go back, records are odd, and a thousand attempts are too many to draw."""
    history = [failed(at, 10**12, 10**12) for at in (5, -5, 10**15, 3)] + [failed(7, 0)] * 100
    picture = timeline(job(history=history), now_ms=-1)
    assert len(picture.rows) == MAX_ROWS
    assert picture.left_out == 104 - MAX_ROWS
    for row in picture.rows:
        assert 0 <= row.wait_x <= row.run_x <= WIDTH - LEAST
        assert row.wait_width >= 0
        assert LEAST <= row.run_width <= WIDTH


def test_schema_becomes_tables_that_people_read():
    """The payload first, then what it holds."""

    class Inner(msgspec.Struct):
        """An inner thing."""

        n: int | None = None

    class Outer(msgspec.Struct):
        things: list[Inner]
        kind: str = "plain"

    outer, inner = fields_of(msgspec.json.schema(Outer))
    assert [(one.name, one.kind, one.required) for one in outer.fields] == [
        ("things", "list of Inner", True),
        ("kind", "text", False),
    ]
    assert outer.fields[1].note == "plain if left out"
    assert (inner.description, inner.fields[0].kind) == ("An inner thing.", "whole number or nothing")


def test_error_pages_lead_back_to_what_a_form_was_about():
    """To the job, the queue, or the overview."""
    assert above("/queues/q/jobs/j/retry") == ["queues", "q", "jobs", "j"]
    assert above("/queues/q/jobs/j") == ["queues", "q"]
    assert above("/queues/q/failures/retry") == ["queues", "q"]
    assert above("/queues/q") == above("/nowhere") == above("/") == []
