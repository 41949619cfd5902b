"""What one job asks of each platform: which accounts, which metrics by which names, which posts.

Pure: asks nobody, and decides from the payload, the accounts and what a platform says of itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from jobrunner_analytics.accounts import Account
from jobrunner_analytics.failures import RefusedError
from jobrunner_analytics.metrics import MetricRow
from jobrunner_analytics.payload import URN, AnalyticsPull
from jobrunner_analytics.platform import Platform, PostFigures, Query, takes_id

MOST_POST_ID = 300


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one platform.

    Args:
        query: The question, in the platform's own names.
        names: The platform's name of a metric to the names of the rows that it becomes.
        unsupported: Metrics that the platform does not have.
    """

    query: Query
    names: dict[str, tuple[str, ...]]
    unsupported: tuple[str, ...]


def make_plan(payload: AnalyticsPull, name: str, platform: Platform) -> Wanted:
    """Return what a job asks of a platform.

    Args:
        payload: The job's payload.
        name: The platform's name, as the payload spells it.
        platform: The platform.
    """
    names: dict[str, list[str]] = {}
    unsupported: list[str] = []
    for metric in payload.metrics:
        owner, colon, own = metric.partition(":")
        if colon:
            if owner.lower() == name.lower():
                names.setdefault(own, []).append(own)
            continue
        native = platform.METRICS.get(metric)
        if native is None:
            unsupported.append(metric)
        elif metric not in names.setdefault(native, []):
            names[native].append(metric)
    query = Query(
        start=payload.date_range.start_date,
        end=payload.date_range.end_date,
        metrics=tuple(names),
        post_ids=tuple(ids_for(payload, name, platform)),
    )
    return Wanted(
        query=query,
        names={native: tuple(dict.fromkeys(given)) for native, given in names.items()},
        unsupported=tuple(unsupported),
    )


def ids_for(payload: AnalyticsPull, name: str, platform: Platform) -> list[str]:
    """Return the posts of a payload that are a platform's, without the platform's name, each once."""
    found: dict[str, None] = {}
    for post_id in payload.post_ids or ():
        owner = _owner(post_id)
        if owner:
            if owner == name.lower():
                found[post_id.partition(":")[2]] = None
        elif takes_id(platform, post_id):
            found[post_id] = None
    return list(found)


def unknown_ids(payload: AnalyticsPull, platforms: Sequence[Platform]) -> list[str]:
    """Return the posts of a payload that name no platform and look like none of these platforms' posts."""
    return [
        post_id
        for post_id in payload.post_ids or ()
        if not _owner(post_id) and not any(takes_id(platform, post_id) for platform in platforms)
    ]


def _is_number(value: float) -> bool:
    """Whether a value can be stored; a whole number from JSON can be larger than any float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _owner(post_id: str) -> str:
    """The platform that a post's id names in front, empty if it names none."""
    owner, colon, _ = post_id.partition(":")
    return owner.lower() if colon and owner.lower() != URN else ""


def make_rows(
    posts: Sequence[PostFigures], *, wanted: Wanted, account: Account, now: float
) -> list[MetricRow]:
    """Return the rows of posts.

    Args:
        posts: What a platform told.
        wanted: What was asked.
        account: Of whom.
        now: Unix time in seconds, when it told.

    Raises:
        RefusedError: A post's id or a value is none that can be stored.
    """
    pulled_at = datetime.fromtimestamp(now, UTC)
    rows: list[MetricRow] = []
    for post in posts:
        if not 0 < len(post.post_id) <= MOST_POST_ID or not post.post_id.isprintable():
            raise RefusedError(f"{account.platform} named a post by what is no id")
        for source, value in post.values.items():
            native, dot, part = source.partition(".")
            if not source.isprintable() or not _is_number(value):
                raise RefusedError(f"{account.platform} gave a value of {native!r:.80} that is none")
            rows.extend(
                MetricRow(
                    tenant=account.tenant,
                    platform=account.platform,
                    post=post.post_id,
                    metric=f"{name}{dot}{part}"[:200],
                    day=pulled_at.date(),
                    value=float(value),
                    source=source[:200],
                    brand=account.brand,
                    account=account.id,
                    published_at=post.created_at,
                    pulled_at=pulled_at,
                )
                for name in wanted.names.get(native, ())
            )
    return rows
