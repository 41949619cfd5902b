"""Settings from the environment: read by type, and blamed by variable."""

from typing import Annotated, Literal

import msgspec
import pytest

from jobrunner import Secret, Service, SettingsError, WebAddress, check_port
from jobrunner.settings import (
    concurrency_from,
    core_settings,
    plugin_settings,
    service_variables,
    variable_name,
)


class Shop(msgspec.Struct, frozen=True):
    shop_url: Annotated[str, Service("shop")]
    api_key: Annotated[str, Secret]
    retries: Annotated[int, msgspec.Meta(ge=0, le=9)] = 3
    names: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    live: bool = False
    mode: Literal["fast", "safe"] = "safe"
    note: str | None = None


GOOD = {"JOBRUNNER_SHOP_SHOP_URL": "https://shop.example", "JOBRUNNER_SHOP_API_KEY": "k-123456"}


def test_every_type_is_read_from_text():
    """Lists by commas, maps as JSON, switches by the usual words."""
    more = {
        "RETRIES": "5",
        "NAMES": "a, b,c",
        "LIMITS": '{"x": 1}',
        "LIVE": "Yes",
        "MODE": "fast",
        "NOTE": "hi",
    }
    found = plugin_settings(
        "shop", Shop, GOOD | {f"JOBRUNNER_SHOP_{name}": value for name, value in more.items()}
    )
    assert (found.retries, found.names, found.limits, found.live, found.mode) == (
        5,
        ("a", "b", "c"),
        {"x": 1},
        True,
        "fast",
    )
    assert plugin_settings("shop", Shop, GOOD).retries == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETRIES", "ten"),
        ("RETRIES", "10"),
        ("LIMITS", "{"),
        ("LIMITS", '{"x": "y"}'),
        ("LIVE", "perhaps"),
        ("MODE", "slow"),
    ],
)
def test_wrong_value_names_its_variable(name, value):
    """The reader sees fifty variables, and must know which one."""
    with pytest.raises(SettingsError) as caught:
        plugin_settings("shop", Shop, GOOD | {f"JOBRUNNER_SHOP_{name}": value})
    assert str(caught.value).startswith(f"JOBRUNNER_SHOP_{name}: ")


def test_missing_variable_is_named():
    """Before the first job, not at it."""
    with pytest.raises(SettingsError, match="JOBRUNNER_SHOP_API_KEY: it must be set"):
        plugin_settings("shop", Shop, {"JOBRUNNER_SHOP_SHOP_URL": "x"})


def test_secret_value_is_not_shown_in_an_error():
    """A wrong password is still a password."""

    class Pin(msgspec.Struct):
        pin: Annotated[int, Secret]

    with pytest.raises(SettingsError) as caught:
        plugin_settings("door", Pin, {"JOBRUNNER_DOOR_PIN": "hunter2-secret"})
    assert "hunter2" not in str(caught.value)


def test_services_are_found_with_their_variables():
    """The sandbox stands in for what is marked so."""
    assert service_variables("shop", Shop) == {"shop": "JOBRUNNER_SHOP_SHOP_URL"}
    assert variable_name("my-shop", "a_b") == "JOBRUNNER_MY_SHOP_A_B"


def test_variables_of_the_source_system_are_read():
    """Who comes from there changes nothing."""
    assert core_settings({"QUEUE_CONCURRENCY": "7"}).concurrency == 7
    assert concurrency_from("WA_WORKER_CONCURRENCY", {"WA_WORKER_CONCURRENCY": " 3 "}) == 3
    assert concurrency_from("WA_WORKER_CONCURRENCY", {}) is None
    with pytest.raises(SettingsError, match="WA_WORKER_CONCURRENCY"):
        concurrency_from("WA_WORKER_CONCURRENCY", {"WA_WORKER_CONCURRENCY": "0"})
    assert core_settings({"JOBRUNNER_PLUGINS": "a,b"}).plugins == ("a", "b")
    assert core_settings({}).plugins is None


def test_check_of_the_settings_own_is_blamed_on_the_variable_that_it_names():
    """Never on one that is right; where it names two, on both."""

    class Range(msgspec.Struct):
        low: int = 1
        high: int = 2

        def __post_init__(self):
            if self.low == 7:
                raise ValueError("low is never 7")
            if self.low > self.high:
                raise ValueError("low must be below high")

    with pytest.raises(SettingsError, match=r"^JOBRUNNER_PREFIX: prefix 'a b' is not allowed"):
        core_settings({"JOBRUNNER_PREFIX": "a b", "JOBRUNNER_PLUGINS": "x"})
    with pytest.raises(SettingsError, match=r"^JOBRUNNER_SHOP_LOW: low is never 7"):
        plugin_settings("shop", Range, {"JOBRUNNER_SHOP_LOW": "7"})
    with pytest.raises(SettingsError, match=r"^JOBRUNNER_SHOP_LOW or JOBRUNNER_SHOP_HIGH: low must"):
        plugin_settings("shop", Range, {"JOBRUNNER_SHOP_LOW": "3"})


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    graph_url: Annotated[str, Service("graph"), WebAddress] = "https://graph.example.com"
    database_url: str = "sqlite:///a.db"
    word: str = ""
    words: tuple[str, ...] = ()

    def __post_init__(self):
        check_port("database_url", self.database_url)


@pytest.mark.parametrize(
    "address",
    ["https://a.example", "http://127.0.0.1:8080/v1", "https://[::1]:8080", "http://a.example:65535/"],
)
def test_web_address_may_have_a_port_and_a_path(address):
    """What the sandbox and a proxy in a company have."""
    assert plugin_settings("out", Outside, {"JOBRUNNER_OUT_GRAPH_URL": address}).graph_url == address


@pytest.mark.parametrize(
    "address",
    [
        "graph.example.com",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a?b",
        "https://a#b",
        "https://a b",
    ],
)
def test_what_is_no_web_address_names_its_variable(address):
    """A query would stand in the middle of every address that is made of it, and a password would be printed."""
    with pytest.raises(SettingsError, match="JOBRUNNER_OUT_GRAPH_URL"):
        plugin_settings("out", Outside, {"JOBRUNNER_OUT_GRAPH_URL": address})


@pytest.mark.parametrize("port", ["0", "65536", "x"])
@pytest.mark.parametrize(
    ("variable", "start"),
    [("JOBRUNNER_OUT_GRAPH_URL", "https://a.example:"), ("JOBRUNNER_OUT_DATABASE_URL", "postgresql://a:")],
)
def test_port_that_is_none_is_told_before_anything_is_opened(variable, start, port):
    """Else the first job finds out, at night."""
    with pytest.raises(SettingsError) as told:
        plugin_settings("out", Outside, {variable: f"{start}{port}"})
    assert str(told.value).startswith(f"{variable}: ")
    assert str(told.value).endswith("the port is 1 to 65535")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_text_that_ends_with_a_line_break_is_refused_whatever_its_field_allows(end):
    """So does a secret that `echo` wrote into a file; every request that carries it would fail."""
    with pytest.raises(SettingsError, match=r"^JOBRUNNER_OUT_WORD: it ends with a line break"):
        plugin_settings("out", Outside, {"JOBRUNNER_OUT_WORD": f"secret{end}"})
    assert plugin_settings("out", Outside, {"JOBRUNNER_OUT_WORDS": f"a,b{end}"}).words == ("a", "b")
