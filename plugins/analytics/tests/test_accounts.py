"""The accounts file: who may read what, and mistakes that name their entry and never a token."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from jobrunner import PluginError
from jobrunner_analytics.accounts import AccountBook

TOKEN = "EAAG-a-secret-token-77"
ENTRY = {"tenant": "acme", "platform": "Facebook", "id": "77", "token": TOKEN}


def write(folder: Path, *entries: object, name: str = "accounts.json", mode: int = 0o600) -> Path:
    path = folder / name
    path.write_bytes(msgspec.json.encode({"accounts": list(entries)}))
    path.chmod(mode)
    return path


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """People write one, programs the other."""
    toml = tmp_path / "accounts.toml"
    toml.write_text(
        f'[[accounts]]\ntenant = "acme"\nplatform = "Facebook"\nid = "77"\ntoken = "{TOKEN}"\n',
        encoding="utf-8",
    )
    json = write(tmp_path, ENTRY)

    for path in (toml, json):
        (account,) = AccountBook(str(path)).find(tenant="acme", brand=None, platform="facebook")
        assert (account.id, account.token, account.platform) == ("77", TOKEN, "facebook")


def test_brands_own_account_goes_before_the_tenants(tmp_path: Path) -> None:
    """A brand without one of its own is read by the account of all brands; without a brand all are."""
    path = write(
        tmp_path, ENTRY, {**ENTRY, "id": "88", "brand": "b1"}, {**ENTRY, "tenant": "other", "id": "99"}
    )
    book = AccountBook(str(path))

    def ids(brand: str | None) -> list[str]:
        return [account.id for account in book.find(tenant="acme", brand=brand, platform="FACEBOOK")]

    assert (ids("b1"), ids("b2"), ids(None)) == (["88"], ["77"], ["77", "88"])


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([ENTRY, {**ENTRY, "id": ""}], "entry 2 of accounts.json (acme, Facebook): "),
        ([{key: ENTRY[key] for key in ("tenant", "id", "token")}], "platform: it is missing"),
        ([{**ENTRY, "token": 7}], "entry 1 of accounts.json (acme, Facebook, 77): token: expected `str`"),
        ([{**ENTRY, "token": f"{TOKEN}\nx"}], "token: it must be"),
        ([{**ENTRY, "tokn": TOKEN}], "tokn"),
        ([{**ENTRY, "instance": "https://a.example"}], "only Mastodon has instances"),
        (
            [{**ENTRY, "platform": "mastodon", "instance": f"https://{TOKEN}@a.example"}],
            "instance: it must be",
        ),
        (
            [ENTRY, {**ENTRY, "platform": "facebook"}],
            "entry 2 of accounts.json (acme, facebook, 77) is the same account as entry 1",
        ),
        (["text"], "entry 1 of accounts.json: expected `object`"),
    ],
)
def test_mistake_names_the_entry_and_never_the_token(
    tmp_path: Path, entries: list[object], problem: str
) -> None:
    """The file has hundreds of entries, and the message ends up in a log."""
    with pytest.raises(PluginError) as caught:
        AccountBook(str(write(tmp_path, *entries)))

    assert problem in str(caught.value)
    assert "JOBRUNNER_ANALYTICS_ACCOUNTS" in str(caught.value)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.json", b'{"accounts": [{"token": "EAAG-a-secret-token-77" oops', "is not JSON"),
        ("a.toml", b'[[accounts]]\ntoken = "EAAG-a-secret-token-77', "is not TOML"),
        ("a.toml", b"\xff\xfe", "is not TOML"),
        ("a.json", b"[]", "list `accounts`"),
        ("a.json", b'{"accounts": {}}', "list `accounts`"),
        ("a.json", b'{"accounts": [], "more": 1}', "nothing beside it"),
        ("a.yaml", b"accounts: []", ".toml or .json"),
    ],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    """At the start of a worker, in one line, with the place and not the text."""
    (tmp_path / name).write_bytes(content)

    with pytest.raises(PluginError) as caught:
        AccountBook(str(tmp_path / name))

    assert problem in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A typing mistake in a variable stops the worker."""
    with pytest.raises(PluginError, match="cannot be read: No such file"):
        AccountBook(str(tmp_path / "nowhere.toml"))


def test_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    """Tokens of some platforms live for two hours."""
    book = AccountBook(str(write(tmp_path, ENTRY)))

    path = write(tmp_path, {**ENTRY, "token": "a-new-and-longer-token-1234"})
    book.refresh()

    (account,) = book.find(tenant="acme", brand=None, platform="facebook")
    assert account.token == "a-new-and-longer-token-1234"
    path.write_bytes(b"half of a fi")
    with pytest.raises(PluginError):
        book.refresh()
    assert len(book.find(tenant="acme", brand=None, platform="facebook")) == 1


@pytest.mark.skipif(os.name != "posix", reason="there are no modes")
def test_file_that_others_may_read_is_told_once(tmp_path: Path) -> None:
    """A hint and no refusal: mounted secrets often are that way."""
    book = AccountBook(str(write(tmp_path, ENTRY, mode=0o644)))

    assert "chmod 600" in book.take_hint()
    assert book.take_hint() == ""
    assert AccountBook(str(write(tmp_path, ENTRY, mode=0o600))).take_hint() == ""


def test_token_is_in_no_repr(tmp_path: Path) -> None:
    """Whatever is logged of an account."""
    (account,) = AccountBook(str(write(tmp_path, ENTRY))).find(tenant="acme", brand=None, platform="facebook")

    assert TOKEN not in repr(account)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"instance": "fosstodon.org"}, "instance: it must be the address of an instance"),
        ({"token": "two words"}, "token: it must be printable ASCII without blanks"),
        ({"id": "two words"}, "id: it must be printable ASCII without blanks"),
        ({"platform": "masto don"}, "platform: it must be a platform's name"),
        ({"tokn": "x"}, "tokn: no field of an entry"),
        ({"token": None}, "token: expected `str`, got `null`"),
    ],
)
def test_mistake_says_what_the_field_may_be(tmp_path: Path, entry: dict[str, object], said: str) -> None:
    """In words, and not as a regular expression."""
    path = tmp_path / "accounts.json"
    account = {"tenant": "t", "platform": "mastodon", "id": "1", "token": "tok", **entry}
    path.write_bytes(msgspec.json.encode({"accounts": [account]}))

    with pytest.raises(PluginError) as caught:
        AccountBook(str(path))

    assert said in str(caught.value)
    assert "regex" not in str(caught.value)


def test_missing_field_of_an_entry_is_named(tmp_path: Path) -> None:
    """The most common mistake of all."""
    path = tmp_path / "accounts.json"
    path.write_text('{"accounts": [{"tenant": "t", "platform": "x", "id": "1"}]}')

    with pytest.raises(PluginError, match="token: it is missing"):
        AccountBook(str(path))
