"""Which addresses are public: by their range, and by the IPv4 address that an IPv6 one stands for."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrunner_publish import RefusedError
from jobrunner_publish.addresses import check_web_url, is_public


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_public(address: str) -> None:
    """What the whole thing exists to let through."""
    assert is_public(address)


@pytest.mark.parametrize("form", ["::ffff:{0}", "64:ff9b::{0}"])
@pytest.mark.parametrize(
    ("inner", "expected"), [("8.8.8.8", True), ("10.0.0.1", False), ("127.0.0.1", False)]
)
def test_address_inside_an_address_decides(form: str, inner: str, expected: bool) -> None:
    """A mapped or translated address leads to the IPv4 address in it."""
    assert is_public(form.format(inner)) is expected


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2001:db8::/32",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ],
)
def test_ends_of_every_special_range_are_not_public(network: str) -> None:
    """The first and the last address of each: an off-by-one is a hole."""
    bounds = ipaddress.ip_network(network)

    assert not is_public(str(bounds[0]))
    assert not is_public(str(bounds[-1]))


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "1.2.3.4.5", "::g", "%eth0"])
def test_what_is_no_address_is_not_public(text: str) -> None:
    """A resolver's answer that cannot be read is no reason to connect."""
    assert not is_public(text)


@given(st.ip_addresses(v=4))
def test_mapped_address_is_as_public_as_its_own(address: ipaddress.IPv4Address) -> None:
    """Whatever form a resolver gives it in."""
    assert is_public(f"::ffff:{address}") == is_public(str(address))


@given(st.ip_addresses())
def test_every_address_has_an_answer_and_none_is_public_that_python_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Our own list only ever takes away."""
    assert not (is_public(str(address)) and address.is_private)


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("HTTPS://cdn.example.com/A.jpg", "https"), ("Http://CDN.example.com/A.jpg", "http")],
)
def test_scheme_and_host_are_the_same_in_any_case(url: str, scheme: str) -> None:
    """What the payload takes must not be refused by the worker."""
    parsed = check_web_url(url)

    assert (parsed.scheme, parsed.host, parsed.path) == (scheme, "cdn.example.com", "/A.jpg")


@pytest.mark.parametrize(
    "url", ["HTTP://127.0.0.1/", "HTTPS://[::1]/", "FILE:///etc/passwd", "HTTP://0X7F.1/"]
)
def test_forbidden_address_is_refused_in_any_case(url: str) -> None:
    """An upper-case letter is no way around."""
    with pytest.raises(RefusedError):
        check_web_url(url)
