"""Payloads to bytes and back: what fits, what does not, and how it is said."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner import Secret
from jobrunner.codec import PayloadCodec, fingerprint, json_schema
from jobrunner.errors import PayloadError, PayloadTooLargeError
from jobrunner.spelling import to_wire


class Account(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    account_id: str
    extra_data: dict[str, object] = {}


class Post(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    brand_accounts: list[Account]
    mood: Literal["warm", "formal"] = "warm"
    due_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    by_name: dict[str, Account] = {}
    count: int = 0


CODEC = PayloadCodec("q", Post, 4096)


def test_either_spelling_and_a_mix_are_taken_and_the_wire_is_camel_case():
    """Python people write `tenant_id`, everybody else `tenantId`."""
    accounts = [{"account_id": "a"}, {"accountId": "b", "extra_data": {"snake_key": 1}}]
    raw, value = CODEC.encode(
        {"tenant_id": "t", "brandAccounts": accounts, "by_name": {"some_name": {"account_id": "c"}}}
    )

    assert value.brand_accounts[1].extra_data == {"snake_key": 1}, "a map that is data keeps its keys"
    assert list(value.by_name) == ["some_name"]
    assert b'"tenantId":"t"' in raw
    assert b'"accountId":"b"' in raw
    assert msgspec.json.decode(raw, type=Post) == value


@pytest.mark.parametrize(
    ("payload", "field", "said"),
    [
        ({"brandAccounts": []}, "tenantId", "missing"),
        ({"tenantId": 5, "brandAccounts": []}, "tenantId", "expected `str`"),
        ({"tenantId": "t", "brandAccounts": [{}]}, "brandAccounts[0].accountId", "missing"),
        (
            {"tenantId": "t", "brandAccounts": [{"accountId": "a", "x": 1}]},
            "brandAccounts[0].x",
            "not a field",
        ),
        ({"tenantId": "t", "brandAccounts": [], "mood": "sour"}, "mood", "'sour': it is one of "),
        (
            {"tenantId": "t", "brandAccounts": [], "dueAt": "tomorrow"},
            "dueAt",
            "datetime: write it as 2026-12-24T18:00:00Z",
        ),
        ({"tenantId": "t", "brandAccounts": [], "dueAt": "2026-01-01T00:00:00"}, "dueAt", "timezone"),
        ({"tenantId": "t", "brandAccounts": "x"}, "brandAccounts", "expected `array`"),
        ({"tenantId": "t", "brandAccounts": [], "count": 1.5}, "count", "expected `int`"),
        ([], "", "must be an object"),
        ("text", "", "must be an object"),
        ({"tenantId": "t", "brandAccounts": [], "count": object()}, "", "cannot be written as JSON"),
    ],
)
def test_wrong_payload_is_blamed_on_its_field(payload, field, said):
    """By the path that its producer wrote, not by Python's name for it."""
    with pytest.raises(PayloadError) as caught:
        CODEC.encode(payload)
    assert caught.value.field == field
    assert said in caught.value.problem


class Range(msgspec.Struct, rename="camel"):
    start_day: int
    end_day: int

    def __post_init__(self):
        if self.start_day > self.end_day:
            raise ValueError("startDay: it is after endDay")
        if self.start_day < 0:
            raise ValueError("the range is before the beginning of time")


class Report(msgspec.Struct, rename="camel"):
    date_range: Range


@pytest.mark.parametrize(
    ("days", "field", "problem"),
    [
        ((2, 1), "dateRange.startDay", "it is after endDay"),
        ((-1, 1), "dateRange", "the range is before the beginning of time"),
    ],
)
def test_field_that_a_struct_names_in_its_own_check_is_blamed(days, field, problem):
    """What two fields must have in common is checked there, and a form shows the problem at its field."""
    with pytest.raises(PayloadError) as caught:
        PayloadCodec("q", Report, 4096).encode({"dateRange": {"startDay": days[0], "endDay": days[1]}})
    assert (caught.value.field, caught.value.problem) == (field, problem)


def test_struct_that_was_made_wrongly_is_found_out():
    """A msgspec constructor checks nothing, so encoding must."""
    with pytest.raises(PayloadError, match="tenantId"):
        CODEC.encode(Post(tenant_id=5, brand_accounts=[]))
    with pytest.raises(PayloadError, match="the queue takes a"):
        CODEC.encode(Account(account_id="a"))


def test_payload_of_the_limit_fits_and_one_byte_more_does_not():
    """The limit is what it says."""
    empty = len(CODEC.encode({"tenantId": "", "brandAccounts": []})[0])
    CODEC.encode({"tenantId": "x" * (4096 - empty), "brandAccounts": []})
    with pytest.raises(PayloadTooLargeError, match="4,097 bytes"):
        CODEC.encode({"tenantId": "x" * (4097 - empty), "brandAccounts": []})


def test_bombs_are_refused():
    """Deep nesting must not take the stack down."""
    deep = value = {}
    for _ in range(100_000):
        value["a"] = {}
        value = value["a"]
    with pytest.raises(PayloadError):
        CODEC.encode({"tenantId": "t", "brandAccounts": [{"accountId": "a", "extraData": deep}]})
    big = PayloadCodec("q", Post, 1 << 24)
    with pytest.raises(PayloadError):
        big.decode(b'{"tenantId":"t","brandAccounts":[{"accountId":"a","extraData":{"a":' + b"[" * 200_000)


@pytest.mark.parametrize("text", ["\ud800", "a\udcff"])
def test_text_that_is_no_unicode_is_refused(text):
    """A lone surrogate cannot be written as UTF-8."""
    with pytest.raises(PayloadError):
        CODEC.encode({"tenantId": text, "brandAccounts": []})


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists), max_size=5
    )
)
def test_any_map_is_taken_or_refused_with_our_error(payload):
    """Whatever a producer sends, nothing but a PayloadError comes back."""
    try:
        raw, _ = CODEC.encode(payload)
    except PayloadError:
        return
    assert msgspec.json.decode(raw)


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_with_our_error(raw):
    """So with what lies in the store."""
    try:
        CODEC.decode(raw)
    except PayloadError:
        return


def test_fingerprint_stands_for_tenant_and_payload_whatever_the_order_of_keys():
    """The same job sent by another language is the same job."""
    first, _ = CODEC.encode({"tenantId": "t", "brandAccounts": [], "count": 1})
    second, _ = CODEC.encode({"count": 1, "brandAccounts": [], "tenant_id": "t"})
    assert first == second
    assert fingerprint("t", first) == fingerprint("t", second)
    assert len({fingerprint("t", first), fingerprint("u", first), fingerprint("t", first + b" ")}) == 3
    assert len(fingerprint("t", first)) == 22


def test_time_in_another_zone_is_sent_as_the_same_moment():
    """Encoded again from what the decoder made of it."""
    raw, value = CODEC.encode({"tenantId": "t", "brandAccounts": [], "dueAt": "2026-01-01T02:00:00+02:00"})
    assert value.due_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert b"2026-01-01T" in raw


def test_spelling_leaves_alone_what_it_does_not_know():
    """A wrong shape is for the decoder to blame."""
    assert to_wire(3, Post) == 3
    assert to_wire({"x_y": 1}, dict[str, int]) == {"x_y": 1}
    assert to_wire([{"account_id": 1}], list[Account]) == [{"accountId": 1}]
    assert to_wire({"account_id": 1}, Account | None) == {"accountId": 1}


class Vault(msgspec.Struct, rename="camel", frozen=True):
    pin_code: Annotated[str, Secret] = "1234-canary"
    label: str = "mine"


class House(msgspec.Struct, rename="camel"):
    vaults: list[Vault] = []
    spare: Vault = Vault(pin_code="5678-canary")
    street: str = "Main"


def test_schema_shows_no_default_of_a_secret_field():
    """Schemas are registered in the store, listed by commands, and served to whoever may look."""
    schema = json_schema(House)

    text = msgspec.json.encode(schema).decode()
    assert "canary" not in text
    assert '"mine"' in text
    assert '"Main"' in text


class Loose(msgspec.Struct):
    tags: list[str] = []
    mixed: set[int | str] = set()
    anything: object = None


def test_set_goes_out_in_one_order_in_every_process():
    """Its own order is another one in each process, and a chosen id with the same payload would be a conflict."""
    codec = PayloadCodec("q", Loose, 10_000)
    tags = [f"tag-{number}" for number in range(30)]
    raw, _ = codec.encode({"tags": set(tags), "anything": set(tags)})
    found = msgspec.json.decode(raw)
    assert found["tags"] == found["anything"] == sorted(tags)


@pytest.mark.parametrize(
    "payload",
    [
        {"anything": {1: 1, "1": 2}},
        {"anything": {1: 2, "a": 3}},
        {"anything": {1, "a"}},
        Loose(mixed={1, "a"}),
        {"mixed": [1, "a"]},
    ],
    ids=[
        "a key twice",
        "keys of two kinds",
        "a set of two kinds",
        "a field of two kinds",
        "the same as a list",
    ],
)
def test_what_has_no_order_is_refused_and_not_sent_in_any(payload):
    """One of two entries would be lost, or the bytes would be others in each process."""
    with pytest.raises(PayloadError, match="q: "):
        PayloadCodec("q", Loose, 10_000).encode(payload)
