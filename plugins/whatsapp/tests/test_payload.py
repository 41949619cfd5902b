"""The payload: numbers come into one form at enqueue, and what is wrong is named by its field."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner import PayloadError, Queue
from jobrunner.testing import check_plugin
from jobrunner_whatsapp import WhatsAppMessage, normalise
from jobrunner_whatsapp.plugin import jobrunner_queues


@pytest.fixture
def queue() -> Queue:
    (queue,) = jobrunner_queues()
    return queue


def make_payload(**changes: object) -> dict[str, object]:
    return {"to": "+4915123456789", "message": "Your post is ready", "campaignId": "spring", **changes}


@pytest.mark.parametrize(
    "written",
    [
        "+4915123456789",
        "+49 151 234 567 89",
        "+49 (0)151 23456789",
        "0049 (151) 234-567-89",
        "00 49.151.23456789",
        "\u202a+49\u00a0151\u202f2345\u201167\u201389\u202c",
        " +49 151 23456789\n",
    ],
)
def test_number_comes_into_one_form(queue: Queue, written: str) -> None:
    """The same person is the same person, however a form or a contact list writes the number."""
    raw, payload = queue.codec.encode(make_payload(to=written))

    assert isinstance(payload, WhatsAppMessage)
    assert payload.to == "+4915123456789"
    assert b'"to":"+4915123456789"' in raw


@pytest.mark.parametrize(
    "written",
    [
        "",
        "0151 23456789",
        "15123456789",
        "4915123456789",
        "+",
        "+0151234567",
        "000151234567",
        "+12345",
        "+1234567890123456",
        "+49 151 CALL ME",
        "+49 151 2345678 ext. 9",
        "+49 151 2345678#9",
        "+49 151 23456/89",
        "++4915123456789",
        "+49 151 +2345678",
        "+\u0664\u0669\u0661\u0665\u0661\u0662\u0663\u0664\u0665",
        "whatsapp:+4915123456789",
    ],
)
def test_what_is_no_international_number_is_refused(queue: Queue, written: str) -> None:
    """Without a country code WhatsApp would put the sender's in front, and reach a stranger."""
    with pytest.raises(PayloadError) as caught:
        queue.codec.encode(make_payload(to=written))

    assert caught.value.field == "to"
    assert "country code" in caught.value.problem


@given(st.text(max_size=64))
def test_any_text_is_a_number_in_one_form_or_refused(text: str) -> None:
    """Payloads come from anywhere; what passes is the same when it passes again, as it does in a worker."""
    try:
        number = normalise(text)
    except ValueError:
        return
    assert normalise(number) == number
    assert number[0] == "+"
    assert number[1:].isascii()
    assert number[1:].isdigit()


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"message": "Hello"}, "to"),
        ({"to": "+4915123456789"}, "message"),
        (make_payload(to=4915123456789), "to"),
        (make_payload(to="+" + "4" * 100), "to"),
        (make_payload(message=""), "message"),
        (make_payload(message=" \n"), "message"),
        (make_payload(message="x" * 4097), "message"),
        (make_payload(campaignId=""), "campaignId"),
        (make_payload(campaignId="x" * 129), "campaignId"),
        (make_payload(tenantId="acme"), "tenantId"),
    ],
)
def test_wrong_field_is_named(queue: Queue, payload: dict[str, object], field: str) -> None:
    """A file of hundreds of lines is mended by line and field, not by guessing."""
    with pytest.raises(PayloadError) as caught:
        queue.codec.encode(payload)
    assert caught.value.field == field


def test_campaign_may_be_missing(queue: Queue) -> None:
    """As in the source system; it is then left out on the wire, too."""
    raw, _ = queue.codec.encode({"to": "+4915123456789", "message": "Hello"})

    assert msgspec.json.decode(raw) == {"to": "+4915123456789", "message": "Hello"}


def test_queue_is_that_of_the_source_system(queue: Queue) -> None:
    """Name, concurrency, variable and route are what producers and operators know."""
    assert (queue.name, queue.concurrency, queue.priority) == ("whatsapp-messages", 3, 5)
    assert queue.concurrency_env == "WA_WORKER_CONCURRENCY"
    assert queue.route == "whatsapp/send"
    assert queue.tenant_field == ""


def test_contract_holds() -> None:
    """What every plugin promises: a stable schema, masked secrets, an import without effects."""
    report = check_plugin("whatsapp", examples={"whatsapp-messages": [make_payload()]})

    assert report.queues == ["whatsapp-messages"]
