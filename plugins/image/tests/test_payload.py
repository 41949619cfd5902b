"""The payload: what the source system's producers send is valid, and what is wrong is named by its field."""

from __future__ import annotations

import msgspec
import pytest

from jobrunner import PayloadError, Queue
from jobrunner.testing import check_plugin
from jobrunner_image.plugin import jobrunner_queues

Payload = dict[str, object]


@pytest.fixture
def queue() -> Queue:
    (queue,) = jobrunner_queues()
    return queue


def make_payload(**changes: object) -> Payload:
    return {
        "tenantId": "demo-tenant",
        "postId": "post-1",
        "brandId": "brand-123",
        "prompt": "A cozy coffee shop in autumn",
        "style": "minimalist",
        "dimensions": {"width": 1080, "height": 1080},
        "brandColors": ["#0f766e", "#FFF"],
        "brandFonts": ["Manrope"],
        **changes,
    }


def without(*names: str) -> Payload:
    return {key: value for key, value in make_payload().items() if key not in names}


def test_queue_is_the_source_systems(queue: Queue) -> None:
    """Name, priority and route are what its producers and its API know."""
    assert (queue.name, queue.priority, queue.route) == ("image.generate", 6, "image/generate")


@pytest.mark.parametrize("payload", [make_payload(), without("postId", "brandColors", "brandFonts")])
def test_payload_of_the_source_system_makes_the_round_trip(queue: Queue, payload: Payload) -> None:
    """On the wire nothing changes, so that both systems can share a queue while one replaces the other."""
    content = msgspec.json.encode(payload)

    assert (
        msgspec.json.decode(msgspec.json.encode(msgspec.json.decode(content, type=queue.payload))) == payload
    )


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"style": "noir"}, "style"),
        ({"prompt": " \n "}, "prompt"),
        ({"prompt": "x" * 4001}, "prompt"),
        ({"dimensions": {"width": 63, "height": 100}}, "width"),
        ({"dimensions": {"width": 100, "height": 4097}}, "height"),
        ({"dimensions": {"width": 4096, "height": 4096}}, "dimensions"),
        ({"dimensions": {"width": 100.5, "height": 100}}, "width"),
        ({"dimensions": {"width": 100}}, "height"),
        ({"brandColors": ["red"]}, "brandColors"),
        ({"brandColors": ["#12345"]}, "brandColors"),
        ({"brandColors": ["#fff\n"]}, "brandColors"),
        ({"brandColors": ["#fff"] * 9}, "brandColors"),
        ({"brandFonts": ["Manrope"] * 5}, "brandFonts"),
        ({"brandFonts": ["/etc/passwd"]}, "brandFonts"),
        ({"tenantId": ""}, "tenantId"),
        ({"brandId": ""}, "brandId"),
        ({"credentials": {}}, "credentials"),
    ],
)
def test_wrong_field_is_named(queue: Queue, changes: Payload, field: str) -> None:
    """Whoever enqueues learns at once what is wrong, and not from a job that failed at night."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(msgspec.json.encode(make_payload(**changes)), type=queue.payload)

    assert field in str(caught.value)


def test_unknown_font_is_refused_with_the_list(queue: Queue) -> None:
    """A brand's font that is silently replaced would be noticed by the brand first."""
    with pytest.raises(msgspec.ValidationError, match="choose from Fredoka One, Manrope, Source Serif Pro"):
        msgspec.convert(make_payload(brandFonts=["Comic Sans"]), queue.payload)


def test_contract_holds() -> None:
    """What every plugin promises: a stable schema, masked secrets, an import without effects."""
    check_plugin("image", examples={"image.generate": [make_payload()]})


def test_payload_error_is_what_producers_get(queue: Queue) -> None:
    """The core's own check, with the queue's name in front."""
    with pytest.raises(PayloadError, match="style"):
        queue.codec.encode(make_payload(style="noir"))
