"""When schedules fire: at the changes of clocks, from wherever one begins to count, and with whatever is typed."""

import bisect
from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobrunner_schedules.errors import ScheduleError
from jobrunner_schedules.plan import Plan

BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"
ZONES = (BERLIN, NEW_YORK, LORD_HOWE)
CHANGES = (
    "2026-02-15",
    "2026-03-08",
    "2026-03-22",
    "2026-03-29",
    "2026-04-04",
    "2026-10-03",
    "2026-10-25",
    "2026-11-01",
)
"""Days on which clocks change, in one zone of the tests or another."""
MINUTE = 60_000
DAY = 86_400_000


def at(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def shown(plan, since, until, zone):
    return [
        datetime.fromtimestamp(slot / 1000, ZoneInfo(zone)).isoformat()
        for slot in plan.slots(at(since), at(until) - 1)
    ]


@pytest.mark.parametrize(
    ("zone", "day", "cron", "slots"),
    [
        (BERLIN, "2026-03-29", "30 2 * * *", ["03:00:00+02:00"]),  # there is no half past two
        (BERLIN, "2026-10-25", "30 2 * * *", ["02:30:00+02:00"]),  # there are two
        (BERLIN, "2026-03-29", "30 3 * * *", ["03:30:00+02:00"]),
        (BERLIN, "2026-10-25", "30 3 * * *", ["03:30:00+01:00"]),
        (BERLIN, "2026-03-29", "0 0-3 * * *", ["00:00:00+01:00", "01:00:00+01:00", "03:00:00+02:00"]),
        (NEW_YORK, "2026-03-08", "30 2 * * *", ["03:00:00-04:00"]),
        (NEW_YORK, "2026-11-01", "30 1 * * *", ["01:30:00-04:00"]),
        (LORD_HOWE, "2026-10-04", "15 2 * * *", ["02:30:00+11:00"]),  # its clocks change by half an hour
        (LORD_HOWE, "2026-04-05", "45 1 * * *", ["01:45:00+11:00"]),
    ],
)
def test_fixed_time_fires_once_at_a_change_of_clocks(zone, day, cron, slots):
    """At the change where the hour is left out, the first time where it comes twice."""
    offset = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=ZoneInfo(zone)).isoformat()[-6:]
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    end = datetime.fromisoformat(f"{after}T00:00").replace(tzinfo=ZoneInfo(zone)).isoformat()[-6:]

    found = shown(Plan(cron, timezone=zone), f"{day}T00:00{offset}", f"{after}T00:00{end}", zone)

    assert [one.partition("T")[2] for one in found] == slots


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 2 * * *", "45 1 * * *", "15 2 * * *", "0 0 * * *"])
def test_fixed_time_fires_once_a_day_for_two_years(zone, cron):
    """Every day of the wall's calendar has exactly one slot."""
    plan = Plan(cron, timezone=zone)
    begin = int(datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    end = int(datetime(2028, 1, 1, tzinfo=ZoneInfo(zone)).timestamp() * 1000) - 1

    days = [datetime.fromtimestamp(slot / 1000, ZoneInfo(zone)).date() for slot in plan.slots(begin, end)]

    assert days == [date(2026, 1, 1) + timedelta(days=k) for k in range(730)]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("cron", "minutes"), [("*/30 * * * *", 30), ("*/15 * * * *", 15)])
@pytest.mark.parametrize("month", ["2026-03-05", "2026-04-03", "2026-10-01", "2026-10-23"])
def test_star_goes_by_time_that_has_passed(zone, cron, minutes, month):
    """Neither a gap nor a pause of an hour, twice a year, for who wants one every half hour."""
    begin = at(f"{month}T00:00Z")
    slots = list(Plan(cron, timezone=zone).slots(begin, begin + 11 * DAY))

    assert {b - a for a, b in pairwise(slots)} == {minutes * MINUTE}


@pytest.mark.parametrize("zone", [*ZONES, "UTC", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns"])
@pytest.mark.parametrize(
    "cron", ["30 2 * * *", "*/30 * * * *", "5 0-3 * * *", "10,50 1,2,3 * * *", "0 */2 * * *"]
)
def test_slots_are_the_same_from_wherever_one_begins(zone, cron):
    """Keepers begin at different moments, and must come to the same slots."""
    plan = Plan(cron, timezone=zone)
    for day in CHANGES:
        begin = at(f"{day}T00:00Z")
        slots = list(plan.slots(begin - DAY, begin + 3 * DAY))

        for moment in range(begin, begin + 30 * 60 * MINUTE, 140 * MINUTE):
            following = bisect.bisect_right(slots, moment)
            assert plan.after(moment) == slots[following]
            assert plan.last(slots[0], moment) == slots[following - 1]


def test_slots_are_the_same_from_within_the_time_that_comes_twice():
    """Whoever begins there has to look back, or sees half of it."""
    plan, begin = Plan("* 2 * * *", timezone=LORD_HOWE), at("2026-04-04T14:00Z")
    slots = list(plan.slots(begin, begin + 2 * DAY))
    for moment in range(begin, begin + 180 * MINUTE, 5 * MINUTE):
        assert plan.after(moment) == slots[bisect.bisect_right(slots, moment)]


def test_last_slot_is_found_however_far_back_it_is():
    """A leap day's is four years back, and there may be none at all."""
    leap = Plan("0 0 29 2 *")
    assert leap.last(at("2024-01-01T00:00Z"), at("2027-12-31T00:00Z")) == at("2024-02-29T00:00Z")
    assert leap.last(at("2020-01-01T00:00Z"), at("2027-12-31T00:00Z")) == at("2024-02-29T00:00Z")
    assert leap.last(at("2024-03-01T00:00Z"), at("2027-12-31T00:00Z")) is None
    assert leap.after(at("2026-01-01T00:00Z")) == at("2028-02-29T00:00Z")
    january = Plan("*/5 * 1 1 *")
    assert january.last(at("2026-01-01T00:00Z"), at("2026-12-01T00:00Z")) == at("2026-01-01T23:55Z")


@given(
    every=st.integers(1, 86_400).map(lambda n: f"{n}s"),
    moment=st.integers(0, 4_000_000_000_000),
)
def test_interval_counts_from_1970(every, moment):
    """So that everybody comes to the same, whenever it was begun."""
    plan, length = Plan(every=every), 1000 * int(every[:-1])

    first, second = islice(plan.slots(moment, 1 << 53), 2)

    assert first % length == 0
    assert moment <= first < moment + length
    assert second == first + length
    assert plan.after(first) == second
    assert plan.last(first, second - 1) == first


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "either cron or every"),
        ({"cron": "* * * * *", "every": "1h"}, "either cron or every"),
        ({"cron": "* * * *"}, "has not five fields"),
        ({"cron": "0 * * * * *"}, "has not five fields"),
        ({"cron": "60 * * * *"}, "cannot be read: bad minute, which is 0-59"),
        ({"cron": "0 24 * * *"}, "cannot be read: bad hour, which is 0-23"),
        (
            {"cron": "0 0 31 2 *"},
            "bad day-of-month, which is 1-31 or L, and a day that one of its months has",
        ),
        ({"cron": "0 0 * 13 *"}, "bad month, which is 1-12 or JAN-DEC"),
        ({"cron": "0 9 * * MONDAY"}, "bad day-of-week, which is 0-7 or SUN-SAT"),
        ({"cron": "0 0 * * 5#2/3"}, "cannot be read"),
        ({"cron": "@often"}, "'@often' is none of @yearly, .*, @hourly"),
        ({"cron": "* " * 4 + "1," * 200 + "1"}, "has not five fields"),
        ({"every": "0s"}, "no interval"),
        ({"every": "1.5h"}, "no interval"),
        ({"every": "90"}, "no interval"),
        ({"every": "999999999w"}, "longer than a year"),
        ({"every": "\u0661h"}, "no interval"),
        ({"cron": "0 0 * * *", "timezone": "Mars/Base"}, "no time zone"),
        ({"cron": "0 0 * * *", "timezone": "../../etc/passwd"}, "no time zone"),
        ({"cron": "0 0 * * *", "timezone": ""}, "no time zone"),
        ({"cron": "0 0 * * *", "timezone": "\0"}, "no time zone"),
    ],
)
def test_wrong_times_are_named(arguments, problem):
    """One line says what is wrong with it."""
    with pytest.raises(ScheduleError, match=problem) as caught:
        Plan(**arguments)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789*/,-#LWSUNMOJAFEB \t\u0660\0", max_size=40) | st.text(max_size=30))
def test_any_text_is_a_plan_or_a_named_error(text):
    """What is typed, or comes out of a store, never ends in something that nobody expects."""
    try:
        plan = Plan(text, timezone="Europe/Berlin")
    except ScheduleError:
        return
    moment = at("2026-06-01T00:00Z")
    slots = list(islice(plan.slots(moment, moment + 400 * DAY), 20))
    assert slots == sorted(set(slots))
    assert all(slot >= moment for slot in slots)


@pytest.mark.parametrize(
    ("short", "long"), [("@daily", "0 0 * * *"), ("@Hourly", "0 * * * *"), ("@weekly", "0 0 * * 0")]
)
def test_short_forms(short, long):
    """As crontab(5) has them."""
    moment = at("2026-06-01T00:00Z")
    assert [Plan(one).after(moment) for one in (short, long)] == [Plan(long).after(moment)] * 2


def test_moment_is_no_part_of_what_comes_after_it():
    """Or a slot would fire twice."""
    noon = int(datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp() * 1000)
    assert Plan("0 12 * * *").after(noon) == noon + DAY
    assert Plan("0 12 * * *").after(noon - 1) == noon
