"""The payloads: what the source system's producers send is valid, and what is wrong is named by its field."""

from __future__ import annotations

import json

import pytest
from content_desk import Payload, month, single

from jobrunner import PayloadError, Queue
from jobrunner_content.plugin import jobrunner_queues

MONTHLY, SINGLE = jobrunner_queues()


def without(payload: Payload, name: str) -> Payload:
    return {key: value for key, value in payload.items() if key != name}


def wishes(**changes: object) -> Payload:
    return month(preferences=changes)


@pytest.mark.parametrize(
    ("queue", "payload"),
    [
        (MONTHLY, month()),
        (MONTHLY, without(month(), "preferences")),
        (MONTHLY, wishes(tone="dry")),
        (MONTHLY, wishes(topics=["東京 ☕️"], hashtags=["#new in"])),
        (MONTHLY, month(contentCount=200, platforms=[f"p{number}" for number in range(10)])),
        (SINGLE, single()),
        (SINGLE, single(regenerationType="hook", preferences={"tone": "formal", "style": "short"})),
        (SINGLE, single(preferences={"style": "short"})),
    ],
)
def test_payload_of_the_source_system_goes_through_unchanged(queue: Queue, payload: Payload) -> None:
    """Producers and readers in other languages go on as they are, and what was left out stays out."""
    wire, _ = queue.codec.encode(payload)

    assert json.loads(wire) == payload


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (without(month(), "tenantId"), "tenantId"),
        (without(month(), "brandId"), "brandId"),
        (without(month(), "platforms"), "platforms"),
        (month(brandId=""), "brandId"),
        (month(brandId="  "), "brandId"),
        (month(brandId="b" * 201), "brandId"),
        (month(brandId="nul\x00"), "brandId"),
        (month(brandId="line\n"), "brandId"),
        (month(month=0), "month"),
        (month(month=13), "month"),
        (month(month="12"), "month"),
        (month(year=24), "year"),
        (month(year=20_241), "year"),
        (month(contentCount=0), "contentCount"),
        (month(contentCount=201), "contentCount"),
        (month(contentCount=2.5), "contentCount"),
        (month(platforms=[]), "platforms"),
        (month(platforms=["my space"]), "platforms[0]"),
        (month(platforms=["x", "../etc"]), "platforms[1]"),
        (month(platforms=["x\n"]), "platforms[0]"),
        (month(platforms=[f"p{number}" for number in range(11)]), "platforms"),
        (month(surprise=1), "surprise"),
        (wishes(tone="t" * 101), "preferences.tone"),
        (wishes(tone="a\nb"), "preferences.tone"),
        (wishes(topics=[" "]), "preferences.topics[0]"),
        (wishes(topics=["t" * 201]), "preferences.topics[0]"),
        (wishes(topics=["t"] * 31), "preferences.topics"),
        (wishes(hashtags=["#"]), "preferences.hashtags[0]"),
        (wishes(hashtags=["h"] * 31), "preferences.hashtags"),
        (wishes(style="short"), "preferences.style"),
    ],
)
def test_wrong_field_of_a_month_is_named(payload: Payload, field: str) -> None:
    """A file of hundreds of lines is mended by line and field, not by guessing."""
    with pytest.raises(PayloadError) as caught:
        MONTHLY.codec.encode(payload)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (without(single(), "postId"), "postId"),
        (single(postId=""), "postId"),
        (single(postId="p\x00"), "postId"),
        (single(regenerationType="title"), "regenerationType"),
        (single(platform=""), "platform"),
        (single(preferences={"topics": []}), "preferences.topics"),
        (single(preferences={"style": 1}), "preferences.style"),
    ],
)
def test_wrong_field_of_a_rewriting_is_named(payload: Payload, field: str) -> None:
    """As above."""
    with pytest.raises(PayloadError) as caught:
        SINGLE.codec.encode(payload)

    assert caught.value.field == field


def test_platform_named_twice_is_refused() -> None:
    """It would get twice its share."""
    with pytest.raises(PayloadError, match="platforms names X twice"):
        MONTHLY.codec.encode(month(platforms=["x", "mastodon", "X"]))


def test_queues_are_those_of_the_source_system() -> None:
    """Names, priorities, concurrencies and routes are what producers and operators know."""
    described = [
        (
            queue.name,
            queue.priority,
            queue.concurrency,
            queue.concurrency_env,
            queue.route,
            queue.tenant_field,
        )
        for queue in (MONTHLY, SINGLE)
    ]

    assert described == [
        (
            "content.generate.monthly",
            5,
            2,
            "CONTENT_WORKER_CONCURRENCY",
            "content/generate-monthly",
            "tenant_id",
        ),
        (
            "content.regen.single",
            8,
            2,
            "CONTENT_WORKER_CONCURRENCY",
            "content/regenerate-single",
            "tenant_id",
        ),
    ]
