"""How the ends of all accounts become the end of an attempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobrunner import Retry
from jobrunner_analytics import AnalyticsPull, DateRange
from jobrunner_analytics.handler import Postponed, conclude

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PAYLOAD = AnalyticsPull(
    tenant_id="t",
    platforms=("x",),
    date_range=DateRange(start_date=NOW - timedelta(days=1), end_date=NOW),
    metrics=("likes",),
)


@pytest.mark.parametrize(
    ("asked", "waited"), [(1.0, 2.0), (900.0, 900.0), (1e12, 86_400.0), (float("inf"), 86_400.0)]
)
def test_wait_of_a_platform_is_kept_within_bounds(asked: float, waited: float) -> None:
    """A platform of another distribution may hand on whatever it is told."""
    late = Postponed(platform="x", account_id="1", reason="busy", retry_after=asked)

    with pytest.raises(Retry) as caught:
        conclude([late], payload=PAYLOAD, unknown=(), attempt=1)

    assert caught.value.after == waited
