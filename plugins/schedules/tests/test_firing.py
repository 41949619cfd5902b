"""Which slots fire after nobody kept a schedule for a while, and what their jobs are called."""

import msgspec
import pytest

from jobrunner_schedules import firing
from jobrunner_schedules.rows import Row, Standing

HOUR = 3_600_000
T0 = 1_800_000_000_000 - 1_800_000_000_000 % HOUR


def row(**more):
    return Row(queue="q", record=msgspec.Raw(b"[]"), every="1h", **more)


@pytest.mark.parametrize(
    ("missed", "slot", "now", "fires"),
    [
        ("last", T0, T0, [T0]),
        ("last", T0, T0 - 1, []),
        ("last", T0, T0 + 5 * HOUR + 7, [T0 + 5 * HOUR]),
        ("all", T0, T0 + 3 * HOUR, [T0, T0 + HOUR, T0 + 2 * HOUR, T0 + 3 * HOUR]),
        ("none", T0, T0 + firing.LATE_MS, [T0]),
        ("none", T0, T0 + firing.LATE_MS + 1, []),
        ("none", T0, T0 + 5 * HOUR + 7, [T0 + 5 * HOUR]),
        ("none", T0, T0 + 5 * HOUR + 7 * 60_000, []),
    ],
)
def test_what_is_made_up_for(missed, slot, now, fires):
    """The last slot, all of them, or none; and the next is never before now."""
    slots, following = firing.due(row(missed=missed), Standing(slot=slot), now)

    assert slots == fires
    assert following == (slot if now < slot else now // HOUR * HOUR + HOUR)


def test_many_missed_slots_are_made_up_for_in_parts():
    """Others have their turn between a thousand of one, and none is left out or comes twice."""
    standing, now, seen = Standing(slot=T0), T0 + 999 * HOUR, []
    while standing.slot <= now:
        slots, following = firing.due(row(missed="all"), standing, now)
        assert len(slots) <= firing.MAX_AT_ONCE
        seen += slots
        standing = Standing(slot=following)
    assert seen == [T0 + k * HOUR for k in range(1000)]


def test_schedule_whose_next_slot_is_not_known_goes_on_with_the_first_from_now():
    """Rather than with none."""
    assert firing.due(row(), Standing(slot=None), T0) == ([], T0 + HOUR)


def test_job_is_named_after_schedule_and_slot():
    """So that whoever fires it makes the same job."""
    options = firing.options("nightly", row(tenant="acme", priority=3), T0)
    assert options.job_id == "nightly.20270115T080000Z"
    assert options.headers == {"schedule": "nightly", "schedule-slot": "2027-01-15T08:00:00Z"}
    assert (options.tenant, options.priority, options.at) == ("acme", 3, None)
    by_hand = firing.options("nightly", row(), None)
    assert (by_hand.job_id, by_hand.headers) == (None, {"schedule": "nightly"})


def test_jitter_is_the_same_for_everybody_and_spread():
    """Two keepers that came to different ones would make a job whose time depends on the race."""
    spread = [firing.jitter_ms(f"s{k}", row(jitter=60), T0) for k in range(1000)]
    assert spread == [firing.jitter_ms(f"s{k}", row(jitter=60), T0) for k in range(1000)]
    assert all(0 <= one < 60_000 for one in spread)
    thirds = [sum(20_000 * k <= one < 20_000 * (k + 1) for one in spread) for k in range(3)]
    assert min(thirds) > 250
    options = firing.options("s1", row(jitter=60), T0)
    assert T0 <= options.at.timestamp() * 1000 < T0 + 60_000
