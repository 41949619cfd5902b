"""Which post goes to which platform on which day: a month's plan, the same whenever it is made.

Pure: no clock, no chance, and nothing about what a post says but its topic.
"""

from __future__ import annotations

import calendar
import hashlib
from collections.abc import Sequence
from datetime import date

import msgspec

MOST_ID = 128
"""Characters of a post's id: as many as other queues take for one."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One post of the plan.

    Args:
        number: From 1, in the order of the days.
        platform: The platform, in lower case.
        day: A day of the month.
        topic: What it is about, empty where no topics are given.
    """

    number: int
    platform: str
    day: date
    topic: str


def plan_month(
    year: int, month: int, *, count: int, platforms: Sequence[str], topics: Sequence[str] = ()
) -> list[Slot]:
    """Spread posts over the days of a month and over the platforms.

    Args:
        year: The year.
        month: 1 to 12.
        count: How many posts, 1 or more.
        platforms: 1 or more, each once.
        topics: What the posts take turns with.

    Returns:
        The posts by day. Two platforms differ by one post at most, and two days, too; where there are fewer posts
        than days, they lie evenly apart. Each platform goes through all of the topics.
    """
    days = calendar.monthrange(year, month)[1]
    slots = []
    for index in range(count):
        turn, place = divmod(index, len(platforms))
        slots.append(
            Slot(
                number=index + 1,
                platform=platforms[place].lower(),
                # The middle of the post's share of the month, so that one post alone is in its middle.
                day=date(year, month, 1 + (2 * index + 1) * days // (2 * count)),
                # Moved on by one with each turn, or two platforms and two topics would make two fixed pairs.
                topic=topics[(turn + place) % len(topics)] if topics else "",
            )
        )
    return slots


def post_id(job_id: str, number: int) -> str:
    """Return the id of a job's post: the same for the same job and number, and no other's.

    Args:
        job_id: The job's id, at most 128 characters.
        number: The post's number, from 1.

    Returns:
        The job's id and the number, such as `december-007`, at most 128 characters; a job's id that leaves no room
        is replaced by a digest of it.
    """
    suffix = f"-{number:03d}"
    if len(job_id) + len(suffix) > MOST_ID:
        job_id = f"job-{hashlib.sha256(job_id.encode()).hexdigest()[:40]}"
    return job_id + suffix
