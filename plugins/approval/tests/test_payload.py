"""The payload: what the source system's producers send is valid, and what is wrong is named by its field."""

from __future__ import annotations

import msgspec
import pytest

from jobrunner import PayloadError, Queue
from jobrunner.testing import check_plugin
from jobrunner_approval import ApprovalNotify
from jobrunner_approval.plugin import jobrunner_queues


@pytest.fixture
def queue() -> Queue:
    (queue,) = jobrunner_queues()
    return queue


def make_payload(**changes: object) -> dict[str, object]:
    return {
        "tenantId": "acme-retail",
        "postId": "post-00000",
        "brandId": "brand-123",
        "approverIds": ["ana", "bo"],
        "notificationType": "both",
        "dueDate": "2026-12-24T18:00:00.000Z",
        "message": "Please look before noon \u2615",
        **changes,
    }


def without(*names: str) -> dict[str, object]:
    return {name: value for name, value in make_payload().items() if name not in names}


@pytest.mark.parametrize(
    "payload",
    [
        make_payload(),
        without("dueDate", "message"),
        make_payload(dueDate="2026-12-24T18:00:00+01:00"),
        make_payload(dueDate="2026-12-24T18:00:00"),
        make_payload(approverIds=[f"approver-{number}" for number in range(100)]),
        make_payload(notificationType="email", message=""),
    ],
)
def test_payload_of_the_source_system_is_valid(queue: Queue, payload: dict[str, object]) -> None:
    """Producers go on as they are; it comes out as it went in."""
    raw, _ = queue.codec.encode(payload)
    again, value = queue.codec.encode(msgspec.json.decode(raw))

    assert isinstance(value, ApprovalNotify)
    assert again == raw
    assert msgspec.json.decode(raw).keys() == payload.keys()


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        *(
            (without(name), name)
            for name in ("tenantId", "postId", "brandId", "approverIds", "notificationType")
        ),
        (make_payload(tenantId=""), "tenantId"),
        (make_payload(postId="post\r\nBcc: eve@evil.example"), "postId"),
        (make_payload(brandId=""), "brandId"),
        (make_payload(approverIds=[]), "approverIds"),
        (make_payload(approverIds=["a"] * 2), "approverIds"),
        (make_payload(approverIds=[str(number) for number in range(101)]), "approverIds"),
        (make_payload(approverIds=["a", ""]), "approverIds[1]"),
        (make_payload(approverIds=["a\nb"]), "approverIds[0]"),
        (make_payload(approverIds=["a\n"]), "approverIds[0]"),
        (make_payload(brandId="brand\n"), "brandId"),
        (make_payload(approverIds="ana"), "approverIds"),
        (make_payload(notificationType="pigeon"), "notificationType"),
        (make_payload(dueDate="tomorrow"), "dueDate"),
        (make_payload(dueDate=True), "dueDate"),
        (make_payload(message="x" * 2001), "message"),
        (make_payload(email="eve@evil.example"), "email"),
    ],
)
def test_wrong_field_is_named(queue: Queue, payload: dict[str, object], field: str) -> None:
    """A file of hundreds of lines is mended by line and field, not by guessing."""
    with pytest.raises(PayloadError) as caught:
        queue.codec.encode(payload)
    assert caught.value.field == field


def test_queue_is_that_of_the_source_system(queue: Queue) -> None:
    """It declares no concurrency, and so has QUEUE_CONCURRENCY."""
    assert (queue.name, queue.priority, queue.concurrency) == ("approval.notify", 7, None)
    assert queue.route == "approval/notify"
    assert queue.tenant_field == "tenant_id"


def test_contract_holds() -> None:
    """What every plugin promises: a stable schema, masked secrets, an import without effects."""
    report = check_plugin("approval", examples={"approval.notify": [make_payload()]})

    assert report.queues == ["approval.notify"]
