"""The payload: what the source system's producers send is valid, and what is wrong is named by its field."""

from __future__ import annotations

import msgspec
import pytest

from jobrunner import PayloadError, Queue
from jobrunner_publish import PublishDispatch
from jobrunner_publish.plugin import jobrunner_queues

Payload = dict[str, object]


@pytest.fixture
def queue() -> Queue:
    (queue,) = jobrunner_queues()
    return queue


def make_payload(**changes: object) -> Payload:
    return {
        "tenantId": "acme-retail",
        "postId": "post-00000",
        "scheduleId": "sched-0000",
        "platforms": [
            {
                "platform": "instagram",
                "accountId": "acme-latam",
                "credentials": {"accessToken": "EAAGsecret123"},
            }
        ],
        "content": {
            "hook": "One chair, 40 hours",
            "body": "Notes of plum, cocoa and orange peel \u2615\ufe0f",
            "hashtags": ["newin", "\u6771\u4eac"],
            "mediaUrls": ["https://cdn.example.com/acme-retail/0000-0.jpg"],
        },
        "scheduledTime": "2026-11-12T08:59:00Z",
        **changes,
    }


def without(name: str) -> Payload:
    return {key: value for key, value in make_payload().items() if key != name}


def with_content(**changes: object) -> Payload:
    content = make_payload()["content"]
    assert isinstance(content, dict)
    return make_payload(content={**content, **changes})


def with_account(**changes: object) -> Payload:
    entry = {
        "platform": "x",
        "accountId": "x-acme",
        "credentials": {"accessToken": "EAAGsecret123"},
        **changes,
    }
    return make_payload(platforms=[entry])


def test_payload_of_the_source_system_is_valid(queue: Queue) -> None:
    """Producers go on as they are: camelCase, and `mediaUrls` may be missing."""
    _, payload = queue.codec.encode(make_payload())
    _, no_media = queue.codec.encode(make_payload(content={"hook": "Hello", "body": "", "hashtags": []}))

    assert isinstance(payload, PublishDispatch)
    assert payload.platforms[0].account_id == "acme-latam"
    assert payload.scheduled_time.tzinfo is not None
    assert isinstance(no_media, PublishDispatch)
    assert no_media.content.media_urls == ()


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Http"])
def test_scheme_of_an_address_is_taken_in_any_case(scheme: str, queue: Queue) -> None:
    """It is the same address; some tools write it so."""
    _, payload = queue.codec.encode(with_content(mediaUrls=[f"{scheme}://cdn.example.com/a.jpg"]))

    assert isinstance(payload, PublishDispatch)
    assert payload.content.media_urls == (f"{scheme}://cdn.example.com/a.jpg",)


def test_unknown_platform_is_valid_at_enqueue(queue: Queue) -> None:
    """Only workers know which platforms are installed."""
    queue.codec.encode(with_account(platform="myspace"))


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (without("postId"), "postId"),
        (without("tenantId"), "tenantId"),
        (make_payload(scheduledTime="tomorrow"), "scheduledTime"),
        (make_payload(scheduledTime="2026-11-12T08:59:00"), "scheduledTime"),
        (make_payload(platforms=[]), "platforms"),
        (make_payload(surprise=1), "surprise"),
        (with_account(platform=""), "platforms[0].platform"),
        (with_account(platform="my space"), "platforms[0].platform"),
        (with_account(platform="x\n"), "platforms[0].platform"),
        (with_account(accountId=""), "platforms[0].accountId"),
        (with_account(credentials="EAAGsecret123"), "platforms[0].credentials"),
        (with_content(mediaUrls=["file:///etc/passwd"]), "content.mediaUrls[0]"),
        (with_content(mediaUrls=["FTP://cdn.example.com/a.jpg"]), "content.mediaUrls[0]"),
        (with_content(mediaUrls=["https://cdn.example.com/a.jpg\n"]), "content.mediaUrls[0]"),
        (with_content(mediaUrls=["https://cdn.example.com/a.jpg"] * 11), "content.mediaUrls"),
        (with_content(hook="  ", body="", mediaUrls=[]), "content"),
    ],
)
def test_wrong_field_is_named(payload: Payload, field: str, queue: Queue) -> None:
    """A file of hundreds of lines is mended by line and field, not by guessing."""
    with pytest.raises(PayloadError) as caught:
        queue.codec.encode(payload)

    assert caught.value.field == field
    assert "EAAGsecret123" not in str(caught.value)


def test_account_named_twice_is_refused(queue: Queue) -> None:
    """It would get the post twice, or be refused as a duplicate of itself."""
    entry = {"platform": "x", "accountId": "x-acme", "credentials": {}}

    with pytest.raises(PayloadError, match="twice"):
        queue.codec.encode(make_payload(platforms=[entry, {**entry, "platform": "X"}]))


def test_credentials_are_in_no_repr(queue: Queue) -> None:
    """A payload ends up in tracebacks and debuggers sooner or later."""
    _, payload = queue.codec.encode(make_payload())

    assert "EAAGsecret123" not in repr(payload)
    assert isinstance(payload, PublishDispatch)
    assert "EAAGsecret123" not in repr(payload.platforms[0])


def test_queue_is_that_of_the_source_system(queue: Queue) -> None:
    """Name, priority, concurrency and route are what producers and operators know."""
    assert (queue.name, queue.priority, queue.concurrency) == ("publish.dispatch", 10, 3)
    assert queue.concurrency_env == "PUBLISH_WORKER_CONCURRENCY"
    assert queue.route == "publish/dispatch"
    assert queue.schedule_field == "scheduled_time"
    assert queue.tenant_field == "tenant_id"


def test_payload_has_a_json_schema() -> None:
    """Producers in other languages are checked against it."""
    schema = msgspec.json.schema(PublishDispatch)

    assert "scheduledTime" in str(schema)
