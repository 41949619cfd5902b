"""Reading the store's address: what is taken, what is refused by name, and that no password is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from jobrunner.errors import SettingsError
from jobrunner.store.address import Address, from_environment, parse_url


def refusal(url: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_url(url)
    assert caught.value.variable == "REDIS_URL"
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "hosts", "db"),
    [
        ("redis://", (("localhost", 6379),), 0),
        ("redis://cache", (("cache", 6379),), 0),
        ("redis://cache/", (("cache", 6379),), 0),
        ("REDIS://cache:6380/3", (("cache", 6380),), 3),
        ("redis://cache:6380?db=4", (("cache", 6380),), 4),
        ("redis://:7000", (("localhost", 7000),), 0),
        ("redis://redis_1.internal:6379/0", (("redis_1.internal", 6379),), 0),
        ("redis://127.0.0.1", (("127.0.0.1", 6379),), 0),
        ("redis://[::1]:6380/1", (("::1", 6380),), 1),
        ("redis://[fe80::1%25eth0]", (("fe80::1%eth0", 6379),), 0),
        ("  redis://cache\n", (("cache", 6379),), 0),
    ],
)
def test_one_server_is_read_from_a_url(url: str, hosts: tuple[tuple[str, int], ...], db: int) -> None:
    """The form that every other Redis client takes must work here unchanged."""
    address = parse_url(url)

    assert address == Address(kind="tcp", hosts=hosts, db=db)


@pytest.mark.parametrize(
    ("url", "username", "password"),
    [
        ("redis://cache", None, None),
        ("redis://:@cache", None, None),
        ("redis://:secret@cache", None, "secret"),
        ("redis://app:secret@cache", "app", "secret"),
        ("redis://app:@cache", "app", ""),
        ("redis://a%40b:p%40s%2Fs%3A%3F%23%25@cache", "a@b", "p@s/s:?#%"),
        ("redis://app:p@ss:word@cache", "app", "p@ss:word"),
        ("redis://app:100%@cache", "app", "100%"),
        ("redis://app:%C3%A4%E2%82%AC@cache", "app", "ä€"),
        ("redis://cache?username=app&password=secret", "app", "secret"),
        ("unix://app@/run/x.sock?password=secret", "app", "secret"),
    ],
)
def test_login_is_percent_decoded(url: str, username: str | None, password: str | None) -> None:
    """A password with any character in it can be written in a URL."""
    address = parse_url(url)

    assert (address.username, address.password) == (username, password)


def test_unix_socket_is_read_with_its_database() -> None:
    """A socket has no place for a database but the query."""
    assert parse_url("unix:///run/v%20k/@x.sock?db=2") == Address(kind="unix", path="/run/v k/@x.sock", db=2)


def test_sentinels_are_read_with_the_masters_name() -> None:
    """Every Sentinel is kept, since any may be away when the worker starts."""
    address = parse_url("rediss+sentinel://app:pw@s1:5000,s2,[::1]:7/mymaster/2?sentinel_password=other")

    assert address == Address(
        kind="sentinel",
        hosts=(("s1", 5000), ("s2", 26379), ("::1", 7)),
        master="mymaster",
        db=2,
        username="app",
        password="pw",
        tls=True,
        sentinel_password="other",
    )


def test_cluster_is_read_with_all_its_hosts() -> None:
    """Any node of a cluster may be the one that answers first."""
    address = parse_url("redis+cluster://c1:7000,c2")

    assert address == Address(kind="cluster", hosts=(("c1", 7000), ("c2", 6379)))


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("embedded:///var/lib/queue", "/var/lib/queue"),
        ("embedded://.jobrunner", ".jobrunner"),
        ("embedded://data/queue", "data/queue"),
        ("embedded://../a%20b@c", "../a b@c"),
        ("embedded://", ".jobrunner"),
    ],
)
def test_embedded_folder_is_absolute_with_a_third_slash_and_relative_without(url: str, folder: str) -> None:
    """The rule that the documentation states."""
    assert parse_url(url) == Address(kind="embedded", path=folder)


def test_tls_options_are_read() -> None:
    """A private certificate authority and a client certificate are common in production."""
    address = parse_url(
        "rediss://cache?ssl_ca_certs=/etc/ca%20x.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem"
        "&ssl_cert_reqs=optional&ssl_check_hostname=no"
    )

    assert address.tls
    assert (address.ssl_ca_certs, address.ssl_certfile, address.ssl_keyfile) == (
        "/etc/ca x.pem",
        "/c.pem",
        "/k.pem",
    )
    assert (address.ssl_cert_reqs, address.ssl_check_hostname) == ("optional", False)


@pytest.mark.parametrize("text", ["none", "CERT_NONE"])
def test_no_certificate_means_no_check_of_its_host(text: str) -> None:
    """URLs written for Celery say CERT_NONE; a check of the name would fail without a certificate."""
    address = parse_url(f"rediss://cache?ssl_cert_reqs={text}")

    assert (address.ssl_cert_reqs, address.ssl_check_hostname) == ("none", False)


def test_tls_is_strict_unless_told_otherwise() -> None:
    """TLS that checks nothing protects from nobody who can be in the middle."""
    address = parse_url("rediss://cache")

    assert (address.ssl_cert_reqs, address.ssl_check_hostname) == ("required", True)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("", "it must begin with redis://"),
        ("cache:6379", "it must begin with redis://"),
        ("http://cache", "http:// is not known here"),
        ("redis://cache:port", "the port must be a number"),
        ("redis://cache:0", "the port must be a number"),
        ("redis://cache:65536", "the port must be a number"),
        ("redis://cache:²", "the port must be a number"),
        ("redis://cache:99999999999999", "the port must be a number"),
        ("redis://cache/one", "the database must be a number"),
        ("redis://cache/-1", "the database must be a number"),
        ("redis://cache/9999999999", "the database must be a number"),
        ("redis://cache/1?db=2", "db is there twice"),
        ("redis://cache?db=", "db after the ? is empty"),
        ("redis://cache?db=1&db=2", "db is there twice"),
        ("redis://::1", "brackets"),
        ("redis://[::1", "brackets"),
        ("redis://[::1]6379", "brackets"),
        ("redis://[nonsense]", "IPv6"),
        ("redis://[fe80::1%25a b]", "space"),
        ("redis://a,b", "redis+sentinel://"),
        ("redis://ca che", "space"),
        ("redis://bücher.example", "characters that no host has"),
        ("redis://cache\x00", "control character"),
        ("redis://%ff:x@cache", "UTF-8"),
        ("redis://cache\udcff", "UTF-8"),
        ("redis://app@cache", "there is a user and no password"),
        ("redis://cache?socket_timeout=5", "'socket_timeout' after the ? is not an option"),
        ("redis://cache?ssl_ca_certs=/x", "it needs a scheme with TLS"),
        ("rediss://cache?ssl_cert_reqs=maybe", "required, optional or none"),
        ("rediss://cache?ssl_check_hostname=maybe", "true or false"),
        (
            "rediss://cache?ssl_cert_reqs=none&ssl_check_hostname=true",
            "ssl_check_hostname needs a certificate",
        ),
        ("rediss://cache?ssl_ca_certs=", "ssl_ca_certs after the ? is empty"),
        ("unix://run/x.sock", "must be absolute"),
        ("unix://", "must be absolute"),
        ("unix:///a%00b", "zero byte"),
        ("redis+sentinel://s1:5000", "name the master"),
        ("redis+sentinel://s1/a%20b", "name the master"),
        ("redis+sentinel://s1,,s2/m", "a host is missing"),
        ("redis+sentinel:///m", "a host is missing"),
        ("redis+cluster://", "a host is missing"),
        ("redis+cluster://c1/3", "database 0 only"),
        ("redis+cluster://c1?db=3", "'db' after the ? is not an option"),
        ("embedded:///", "folder of its own"),
        ("embedded://~/queue", "~ is not replaced"),
        ("embedded:///queue?db=1", "'db' after the ? is not an option of this URL; it takes none"),
        ("redis://cache?\x1b[31m=1", "control character"),
    ],
)
def test_wrong_url_is_refused_in_one_line(url: str, part: str) -> None:
    """One line that says what is wrong; a traceback or a guess would cost the reader an hour."""
    text = refusal(url)

    assert text.startswith("REDIS_URL: ")
    assert part in text
    assert text.isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "redis://app:hun/ter22@cache/0",
        "redis://app:hun?ter22@cache/0",
        "redis://app:hun#ter22@cache/0",
        "redis://:hunter22",
        "redis://app:hunter22",
        "redis://app:hunter22/0",
        "redis://app:x@y/hunter22@cache/0",
        "unix://app:hun/ter22@/run/x.sock",
        "redis+cluster://app:hun/ter22@cache",
        "redis+sentinel://app:hun/ter22@cache/master",
        "redis://hunter22@cache",
        "rediss://app:a@cache?password=hunter22",
    ],
)
def test_misplaced_password_is_not_quoted_in_the_error(url: str) -> None:
    """A password pasted without percent-encoding falls into the host, the port or the path."""
    text = refusal(url)

    assert "ter22" not in text
    assert "hun" not in text


def test_no_text_of_an_address_has_a_password() -> None:
    """It is printed in logs, errors, tracebacks and at terminals."""
    address = parse_url(
        "rediss+sentinel://app:hunter22@s1/m/0?sentinel_password=swordfish&sentinel_username=s"
    )

    shown = [
        str(address),
        repr(address),
        address.masked(),
        f"{address}",
        pretty_repr(address),
        repr([address]),
    ]

    assert address.masked() == (
        "rediss+sentinel://app:***@s1:26379/m/0?sentinel_username=s&sentinel_password=***"
    )
    assert not [text for text in shown if "hunter22" in text or "swordfish" in text]


def test_masked_keeps_what_is_not_secret() -> None:
    """People read it to see which server is meant."""
    assert parse_url("redis://user:pw@host:6379/0").masked() == "redis://user:***@host:6379/0"
    assert parse_url("redis://:pw@host").masked() == "redis://:***@host:6379/0"
    assert parse_url("unix:///run/x.sock?db=1").masked() == "unix:///run/x.sock?db=1"


def test_variables_have_defaults() -> None:
    """A server on this machine is what a newcomer has."""
    assert from_environment({}) == Address(kind="tcp", hosts=(("localhost", 6379),))
    assert from_environment({"REDIS_URL": " ", "REDIS_HOST": "", "REDIS_PORT": "", "REDIS_PASSWORD": ""}) == (
        Address(kind="tcp", hosts=(("localhost", 6379),))
    )


def test_single_variables_are_read() -> None:
    """The source system's variables keep working, and a password there is taken as it is."""
    environ = {
        "REDIS_HOST": "::1",
        "REDIS_PORT": "6380",
        "REDIS_USERNAME": "app",
        "REDIS_PASSWORD": "p@s/s%20",
        "REDIS_DB": "2",
    }

    assert from_environment(environ) == Address(
        kind="tcp", hosts=(("::1", 6380),), username="app", password="p@s/s%20", db=2
    )


def test_url_wins_over_single_variables() -> None:
    """Even wrong ones: they are not looked at."""
    environ = {"REDIS_URL": "redis://cache", "REDIS_HOST": "other", "REDIS_PORT": "tcp://10.0.0.1:6379"}

    assert from_environment(environ) == Address(kind="tcp", hosts=(("cache", 6379),))


@pytest.mark.parametrize(
    ("environ", "variable", "part"),
    [
        ({"REDIS_URL": "ftp://x"}, "REDIS_URL", "ftp:// is not known"),
        ({"REDIS_HOST": "redis://x"}, "REDIS_HOST", "set REDIS_URL instead"),
        ({"REDIS_HOST": "a b"}, "REDIS_HOST", "a host's name"),
        ({"REDIS_HOST": "cache:6379"}, "REDIS_HOST", "a port has a variable"),
        ({"REDIS_PORT": "six"}, "REDIS_PORT", "a number from 1 to 65535, such as 6379"),
        ({"REDIS_PORT": "tcp://10.0.0.1:6379"}, "REDIS_PORT", "Kubernetes"),
        ({"REDIS_DB": "x"}, "REDIS_DB", "a number from 0 up"),
        ({"REDIS_USERNAME": "app"}, "REDIS_USERNAME", "set REDIS_PASSWORD too"),
        ({"REDIS_PASSWORD": "\udcff"}, "REDIS_PASSWORD", "UTF-8"),
    ],
)
def test_wrong_variable_is_named(environ: dict[str, str], variable: str, part: str) -> None:
    """The reader must know which line of which file to change."""
    with pytest.raises(SettingsError) as caught:
        from_environment(environ)

    assert caught.value.variable == variable
    assert part in str(caught.value)


def test_error_names_the_variable_that_the_url_came_from() -> None:
    """A URL may come from a flag or another variable."""
    with pytest.raises(SettingsError, match=r"^TEST_URL: "):
        parse_url("x", variable="TEST_URL")


def tried(read: Callable[[], Address]) -> Address | SettingsError:
    """What came of it; any other error ends the test."""
    try:
        return read()
    except SettingsError as error:
        return error


_schemes = st.sampled_from(
    ["redis", "rediss", "unix", "embedded", "redis+sentinel", "rediss+cluster", "redis+cluster", "x", ""]
)
_pieces = st.lists(
    st.one_of(
        st.sampled_from([*"@:/?#[]%,&=.~", "%00", "%zz", "%ff", "::1", "6379", "db=1", "host"]),
        st.text(max_size=5),
    ),
    max_size=12,
)


@given(scheme=_schemes, pieces=_pieces)
@example(scheme="redis", pieces=["[::1%25]"])
@example(scheme="redis", pieces=["[", "]", "@", "["])
def test_any_text_is_an_address_or_a_settings_error(scheme: str, pieces: list[str]) -> None:
    """What stands in an environment is typed, pasted and generated; nothing of it may end in a traceback."""
    outcome = tried(lambda: parse_url(f"{scheme}://{''.join(pieces)}"))

    match outcome:
        case SettingsError():
            assert "\n" not in str(outcome)
        case Address():
            assert parse_url(outcome.masked()).masked() == outcome.masked()


@given(
    environ=st.dictionaries(
        st.sampled_from(["REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD"]), st.text()
    )
)
def test_any_variables_are_an_address_or_a_settings_error(environ: dict[str, str]) -> None:
    """As above, for the single variables."""
    outcome = tried(lambda: from_environment(environ))

    assert isinstance(outcome, Address) or outcome.variable in environ


@given(password=st.text(alphabet=st.characters(codec="utf-8"), min_size=1), user=st.sampled_from(["", "app"]))
def test_any_encoded_password_comes_back_and_is_never_shown(password: str, user: str) -> None:
    """By identity: the password that goes in is the one that is sent, and no text of the address has it."""
    address = parse_url(f"redis://{user}:{quote(password, safe='')}@cache:1/0")

    assert address.password == password
    assert address.masked() == f"redis://{user}:***@cache:1/0"
    assert repr(address) == f"Address('redis://{user}:***@cache:1/0')"


@given(
    address=st.one_of(
        st.builds(
            Address,
            kind=st.sampled_from(["tcp"]),
            hosts=st.tuples(
                st.tuples(st.sampled_from(["h", "::1", "1.2.3.4", "fe80::1%eth0"]), st.integers(1, 65535))
            ),
            db=st.integers(0, 2**31 - 1),
            tls=st.booleans(),
        ),
        st.builds(
            Address,
            kind=st.sampled_from(["unix"]),
            path=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1).map(
                "/{}".format
            ),
            db=st.integers(0, 9),
        ),
    )
)
def test_address_without_password_reads_its_own_text_back(address: Address) -> None:
    """So what is printed can be pasted."""
    assert parse_url(address.masked()) == address
