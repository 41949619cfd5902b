"""A month's plan: fair shares, days of the month, and ids that belong together."""

from __future__ import annotations

import calendar
import itertools
from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from jobrunner_content import Slot, plan_month
from jobrunner_content.plan import MOST_ID, post_id

NAMES = st.lists(
    st.sampled_from([f"p{number}" for number in range(12)]), min_size=1, max_size=10, unique=True
)
MONTHS = st.tuples(st.integers(2000, 2100), st.integers(1, 12))


@given(MONTHS, st.integers(1, 200), NAMES)
def test_every_platform_and_every_day_gets_its_share(
    month: tuple[int, int], count: int, platforms: list[str]
) -> None:
    """Nobody is forgotten, and no day is flooded while another one is empty."""
    slots = plan_month(*month, count=count, platforms=platforms)

    days = calendar.monthrange(*month)[1]
    by_platform = Counter(slot.platform for slot in slots)
    by_day = Counter(slot.day for slot in slots)
    shares = [by_platform[name] for name in platforms]
    loads = [by_day[date(*month, day)] for day in range(1, days + 1)]
    assert [slot.number for slot in slots] == list(range(1, count + 1))
    assert max(shares) - min(shares) <= 1
    assert max(loads) - min(loads) <= 1
    assert sum(loads) == count
    assert [slot.day for slot in slots] == sorted(slot.day for slot in slots)


@given(MONTHS, st.integers(2, 28))
def test_few_posts_lie_evenly_apart(month: tuple[int, int], count: int) -> None:
    """Not all in the first week."""
    days = [slot.day.day for slot in plan_month(*month, count=count, platforms=["x"])]

    gaps = {after - before for before, after in itertools.pairwise(days)}
    assert max(gaps) - min(gaps) <= 1


def test_single_post_is_in_the_middle() -> None:
    """As far from both ends as it can be."""
    assert plan_month(2023, 2, count=1, platforms=["X"]) == [
        Slot(number=1, platform="x", day=date(2023, 2, 15), topic="")
    ]


@given(NAMES, st.integers(1, 10))
def test_every_platform_goes_through_all_topics(platforms: list[str], topics: int) -> None:
    """Two platforms and two topics must not become two fixed pairs."""
    names = [f"topic {number}" for number in range(topics)]
    slots = plan_month(2024, 5, count=len(platforms) * topics, platforms=platforms, topics=names)

    for platform in platforms:
        assert sorted(slot.topic for slot in slots if slot.platform == platform) == sorted(names)


@given(st.text(alphabet="abc.-_", min_size=1, max_size=128), st.integers(1, 200))
def test_post_id_is_the_same_each_time_and_fits_other_queues(job_id: str, number: int) -> None:
    """It is what publishing and approval are given."""
    made = post_id(job_id, number)

    assert made == post_id(job_id, number)
    assert len(made) <= MOST_ID
    assert made.endswith(f"-{number:03d}")


def test_post_ids_of_long_job_ids_differ() -> None:
    """Cut off they would be the same."""
    ids = {post_id("a" * 127 + last, number) for last in "xyz" for number in (1, 2)}

    assert len(ids) == 6
