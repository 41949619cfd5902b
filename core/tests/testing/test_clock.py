"""Durations as people write them, and the clock that they move."""

from datetime import UTC, datetime, timedelta

import pytest

from jobrunner.testing import VirtualClock
from jobrunner.testing.clock import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", 90),
        ("2h", 7200),
        ("1h 30m", 5400),
        ("250ms", 0.25),
        ("1.5d", 129_600),
        ("2w", 1_209_600),
        (7, 7),
        (timedelta(hours=1), 3600),
    ],
)
def test_duration_is_read(text: object, expected: float) -> None:
    """Every form that the docs name."""
    assert seconds(text) == expected  # type: ignore[arg-type]  # each of the forms


@pytest.mark.parametrize("text", ["", "2", "h", "2 hours", "-2h", "2h!", -1, timedelta(seconds=-1)])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A bare number in text could mean anything, and time does not run back."""
    with pytest.raises(ValueError, match="duration"):
        seconds(text)  # type: ignore[arg-type]  # each of the forms


def test_clock_stands_still_until_it_is_moved() -> None:
    """Tests that compare times compare what they set."""
    clock = VirtualClock(datetime(2030, 1, 1, tzinfo=UTC))
    before = clock.monotonic()

    clock.move("1h 1ms")

    assert clock.now == datetime(2030, 1, 1, 1, 0, 0, 1000, tzinfo=UTC)
    assert clock.time() == clock.now.timestamp()
    assert clock.monotonic() - before >= 3600


def test_start_without_a_zone_is_refused() -> None:
    """It would be another moment on each machine."""
    with pytest.raises(ValueError, match="time zone"):
        VirtualClock(datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake
