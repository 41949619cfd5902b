"""The payload: what the source system's producers send is valid, and what is wrong is named by its field."""

from __future__ import annotations

import msgspec
import pytest

from jobrunner import Queue
from jobrunner.testing import check_plugin
from jobrunner_analytics.plugin import jobrunner_queues

Payload = dict[str, object]


@pytest.fixture
def queue() -> Queue:
    (queue,) = jobrunner_queues()
    return queue


def make_payload(**changes: object) -> Payload:
    return {
        "tenantId": "demo-tenant",
        "brandId": "brand-123",
        "platforms": ["facebook", "x"],
        "dateRange": {"startDate": "2026-10-01T00:00:00Z", "endDate": "2026-11-01T00:00:00Z"},
        "metrics": ["likes", "views", "facebook:post_video_views"],
        "postIds": ["770077_1", "x:1900000000000000001", "urn:li:share:7"],
        **changes,
    }


def dates(start: str, end: str) -> Payload:
    return {"dateRange": {"startDate": start, "endDate": end}}


def test_queue_is_the_source_systems(queue: Queue) -> None:
    """Name, priority and route are what its producers and its API know."""
    assert (queue.name, queue.priority, queue.route) == ("analytics.pull", 3, "analytics/pull")


@pytest.mark.parametrize("left_out", [(), ("brandId", "postIds")])
def test_payload_of_the_source_system_makes_the_round_trip(queue: Queue, left_out: tuple[str, ...]) -> None:
    """On the wire nothing changes, so that both systems can share a queue while one replaces the other."""
    payload = {key: value for key, value in make_payload().items() if key not in left_out}

    decoded = msgspec.json.decode(msgspec.json.encode(payload), type=queue.payload)

    assert msgspec.json.decode(msgspec.json.encode(decoded)) == payload


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (dates("2026-11-01T00:00:00Z", "2026-10-01T00:00:00Z"), "startDate must be before endDate"),
        (dates("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"), "startDate must be before endDate"),
        (dates("2025-10-01T00:00:00Z", "2026-10-03T00:00:00Z"), "at most a year"),
        (dates("2026-10-01T00:00:00", "2026-11-01T00:00:00Z"), "startDate"),
        (dates("yesterday", "2026-11-01T00:00:00Z"), "startDate"),
        ({"dateRange": {"startDate": "2026-10-01T00:00:00Z"}}, "endDate"),
        ({"platforms": []}, "platforms"),
        ({"platforms": ["X", "x"]}, "platforms"),
        ({"platforms": ["a/b"]}, "platforms"),
        ({"metrics": []}, "metrics"),
        ({"metrics": ["likes", "likes"]}, "metrics"),
        ({"metrics": ["follower_mood"]}, "choose from clicks, comments"),
        ({"metrics": ["linkedin:engagement"]}, "metrics"),
        ({"metrics": ["x:a b"]}, "metrics"),
        ({"metrics": ["likes"] * 51}, "metrics"),
        ({"postIds": ["mastodon:7"]}, "postIds"),
        ({"postIds": ["x:"]}, "postIds"),
        ({"postIds": ["a b"]}, "postIds"),
        ({"postIds": []}, "postIds"),
        ({"postIds": [str(number) for number in range(501)]}, "postIds"),
        ({"tenantId": ""}, "tenantId"),
        ({"credentials": {}}, "credentials"),
    ],
)
def test_wrong_field_is_named(queue: Queue, changes: Payload, field: str) -> None:
    """Whoever enqueues learns at once what is wrong, and not from a job that failed at night."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(make_payload(**changes)), type=queue.payload)

    assert field in str(caught.value)


def test_a_leap_year_is_a_year(queue: Queue) -> None:
    """366 days."""
    payload = make_payload(**dates("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"))

    msgspec.convert(payload, queue.payload)


def test_contract_holds() -> None:
    """What every plugin promises: a stable schema, masked secrets, an import without effects."""
    check_plugin("analytics", examples={"analytics.pull": [make_payload()]})
