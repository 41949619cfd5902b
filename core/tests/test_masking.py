"""Secrets: marked once, masked wherever people look."""

import dataclasses
from typing import Annotated

import msgspec

from jobrunner import Secret
from jobrunner.masking import MASK, has_secrets, hide_in_repr, masked, redact, redact_json, secret_values


class Key(msgspec.Struct, rename="camel"):
    name: str
    api_key: Annotated[str, Secret]


class Payload(msgspec.Struct, rename="camel"):
    tenant: str
    main_key: Key
    keys: list[Key] = []
    by_name: dict[str, Key] = {}
    credentials: Annotated[dict[str, object], Secret] = {}
    maybe: Annotated[str, Secret] | None = None
    pins: Annotated[list[str], Secret] = []


VALUE = Payload(
    tenant="acme",
    main_key=Key("a", "sesame-1"),
    keys=[Key("b", "sesame-2")],
    by_name={"c": Key("c", "sesame-3")},
    credentials={"accessToken": "sesame-4", "nested": {"deep": ["sesame-5"]}, "n": 123456789},
    maybe="sesame-6",
    pins=["sesame-7", "1234"],
)


def test_what_is_marked_is_masked_at_any_depth():
    """And the rest is as it was."""
    shown = masked(VALUE, Payload)
    assert "sesame" not in str(shown)
    assert shown["tenant"] == "acme"
    assert shown["mainKey"] == {"name": "a", "apiKey": MASK}
    assert shown["byName"]["c"]["name"] == "c"
    assert shown["credentials"] == shown["maybe"] == shown["pins"] == MASK
    assert masked(Payload("t", Key("a", "b")), Payload)["maybe"] is None


def test_every_secret_value_of_six_characters_is_found():
    """Shorter ones stand in ordinary words."""
    assert {f"sesame-{n}" for n in range(1, 8)} <= set(secret_values(VALUE, Payload))
    assert "1234" not in secret_values(VALUE, Payload)


def test_repr_of_a_payload_masks_and_so_does_the_repr_of_what_holds_it():
    """A payload in an f-string, a log line, a debugger."""
    hide_in_repr(Payload)
    assert "sesame" not in f"{VALUE} {[VALUE]!r}"
    assert "tenant='acme'" in repr(VALUE)


def test_redacting_replaces_values_wherever_they_stand():
    """The longer ones first, so that no half of one is left."""
    secrets = sorted(["sesame", "sesame-open"], key=len, reverse=True)
    assert redact("say sesame-open, or sesame", secrets) == f"say {MASK}, or {MASK}"


def test_value_with_quotes_is_found_in_its_json_form_too():
    """A token with a quote would slip through a line of JSON."""
    value = Key("a", 'se"same\nöl')
    line = msgspec.json.encode({"text": 'it was se"same\nöl'}).decode()
    assert "same" not in redact(line, secret_values(value, Key))


def test_json_is_redacted_in_its_texts_only():
    """A secret number must not make a stored number invalid."""
    raw = b'{"sesame-1":1,"a":["x sesame-1 y",123456789],"b":123456789}'
    assert (
        redact_json(raw, ["sesame-1", "123456789"])
        == b'{"sesame-1":1,"a":["x *** y",123456789],"b":123456789}'
    )
    assert redact_json(raw, []) is raw


def test_type_without_marks_has_no_secrets():
    """And costs nothing."""
    assert has_secrets(Payload)
    assert not has_secrets(dict[str, int])


class Link(msgspec.Struct, rename="camel"):
    token: Annotated[str, Secret]
    next_link: "Link | None" = None
    others: list["Link"] = []


@dataclasses.dataclass
class Card:
    number: Annotated[str, Secret]
    holder: str = "ann"


class Wallet(msgspec.Struct):
    cards: list[Card] = []
    pins: dict[str, Annotated[str, Secret]] = {}
    pair: tuple[str, Annotated[str, Secret]] = ("", "")
    key: Key | Link | None = None


CHAIN = Link("sesame-1", Link("sesame-2", Link("sesame-3")), [Link("sesame-4", others=[Link("sesame-5")])])


def test_type_that_holds_itself_is_masked_all_the_way_down():
    """A tree of accounts has tokens in its leaves too."""
    hide_in_repr(Link)
    assert "sesame" not in f"{masked(CHAIN, Link)}"
    assert masked(CHAIN, Link)["nextLink"]["nextLink"] == {"token": MASK, "nextLink": None, "others": []}
    assert {f"sesame-{n}" for n in range(1, 6)} <= set(secret_values(CHAIN, Link))
    assert "sesame" not in repr(CHAIN)


def test_repr_masks_what_lies_in_maps_lists_and_dataclasses():
    """The mark may stand on an item, or on the field of a type whose repr is not ours."""
    hide_in_repr(Wallet)
    wallet = Wallet([Card("sesame-1")], {"visa": "sesame-2"}, ("plain", "sesame-3"), Key("a", "sesame-4"))
    assert "sesame" not in repr(wallet)
    assert "ann" in repr(wallet)
    assert "visa" in repr(wallet)
    assert "sesame" not in f"{masked(wallet, Wallet)}"
    assert len([text for text in secret_values(wallet, Wallet) if text.startswith("sesame")]) == 4


def test_secret_in_any_branch_of_a_union_is_masked():
    """Which branch a value took is not written in it."""
    shown = masked(Wallet(key=Link("sesame-1", Link("sesame-2"))), Wallet)
    assert "sesame" not in str(shown)
    assert "sesame" not in str(masked({"api_key": "sesame-3", "apiKey": "sesame-4"}, Key | Link | None))
