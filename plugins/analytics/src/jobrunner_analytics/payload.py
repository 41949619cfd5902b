"""The payload of `analytics.pull`: whose figures, of which posts, on which platforms.

Says what is valid at enqueue. Holds no credentials: those are in the worker's accounts file. Never knows which
platforms are installed, so an unknown platform's name is valid here and found by the worker.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

METRICS = (
    "clicks",
    "comments",
    "engagements",
    "impressions",
    "likes",
    "reach",
    "saves",
    "shares",
    "views",
)
"""The metrics that are named alike on every platform. A platform's own are named `PLATFORM:METRIC`."""

MOST_DAYS = 366
NATIVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}:[A-Za-z0-9_]{1,64}")
URN = "urn"

PlatformName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)",
        max_length=32,
        description="a platform's name: letters, digits, . _ and -",
    ),
]
MetricName = Annotated[str, Meta(min_length=1, max_length=97)]
PostId = Annotated[
    str,
    Meta(pattern=r"^[!-~]+$(?!\n)", max_length=200, description="an id of printable ASCII without blanks"),
]
Moment = Annotated[datetime, Meta(tz=True)]


class DateRange(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """When the posts were published whose figures are pulled.

    Args:
        start_date: The first moment, with a zone.
        end_date: The end, with a zone, later than the start; posts of that very moment are not in it.

    Raises:
        ValueError: The start is not before the end, or more than 366 days before it.
    """

    start_date: Moment
    end_date: Moment

    def __post_init__(self) -> None:
        if self.start_date >= self.end_date:
            raise ValueError("startDate must be before endDate")
        if self.end_date - self.start_date > timedelta(days=MOST_DAYS):
            raise ValueError(f"startDate to endDate is at most a year ({MOST_DAYS} days)")


class AnalyticsPull(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Pull the figures of one tenant's posts.

    Args:
        tenant_id: Whose posts they are.
        brand_id: One brand's accounts; None for all of the tenant's.
        platforms: 1 to 20 names, each once; upper and lower case are the same.
        date_range: When the posts were published. With `post_ids` it is not looked at.
        metrics: 1 to 50 names, each once: of `METRICS`, or a platform's own as `facebook:post_video_views`.
        post_ids: Up to 500 posts by the platforms' own ids, in place of all that were published in the range.
            `x:1900...` is asked of X alone; an id without a platform of each whose ids look like it.

    Raises:
        ValueError: A name is given twice or is not known, or a post's platform is not among `platforms`.
    """

    tenant_id: Annotated[str, Meta(min_length=1, max_length=128)]
    brand_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    platforms: Annotated[tuple[PlatformName, ...], Meta(min_length=1, max_length=20)]
    date_range: DateRange
    metrics: Annotated[tuple[MetricName, ...], Meta(min_length=1, max_length=50)]
    post_ids: Annotated[tuple[PostId, ...], Meta(min_length=1, max_length=500)] | None = None

    def __post_init__(self) -> None:
        names = [name.lower() for name in self.platforms]
        _check_once("platforms", names)
        _check_once("metrics", self.metrics)
        for metric in self.metrics:
            if metric not in METRICS and not NATIVE.fullmatch(metric):
                raise ValueError(
                    f"metrics names {metric!r}: choose from {', '.join(METRICS)}, or a platform's own as PLATFORM:METRIC"
                )
            if ":" in metric and metric.partition(":")[0].lower() not in names:
                raise ValueError(f"metrics names {metric!r}, and platforms does not name that platform")
        for post_id in self.post_ids or ():
            platform, colon, rest = post_id.partition(":")
            if colon and platform.lower() != URN and (platform.lower() not in names or not rest):
                raise ValueError(f"postIds names {post_id!r}, and platforms does not name that platform")


def _check_once(field: str, names: tuple[str, ...] | list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{field} names {name} twice: give it once")
        seen.add(name)
