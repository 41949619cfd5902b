"""Which addresses a tenant's URL may lead to: public ones, by what they are and by what they stand for.

Decides about one address or one URL's text. Never resolves a name and opens no connection.
"""

from __future__ import annotations

import ipaddress
import re
import socket

import httpx

from jobrunner_publish.failures import RefusedError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOST = re.compile(rb"[A-Za-z0-9._-]+")
"""A host as it goes to a resolver, once other scripts are written in ASCII."""

PORTS = {"http": 80, "https": 443}

NAT64 = ipaddress.ip_network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
V4_COMPATIBLE = ipaddress.ip_network("::/96")
SITE_LOCAL = ipaddress.ip_network("fec0::/10")
"""Ranges that stand for another address or were given up, and that not every Python release calls private."""


def is_public(address: str) -> bool:
    """Say whether an address belongs to the public internet.

    Args:
        address: An IPv4 or IPv6 address in standard notation, with or without a zone.

    Returns:
        False for everything private, local, reserved or multicast, for an IPv6 address that carries such an
        IPv4 address (mapped, NAT64, 6to4), for Teredo, and for what is no address at all.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public(parsed)


def check_web_url(url: str) -> httpx.URL:
    """Return a tenant's URL, parsed, if its text is that of a public web address.

    Args:
        url: The URL as the tenant gave it.

    Raises:
        RefusedError: Another scheme than http and https, a user name, a port other than the scheme's own, no
            host, or a host that is written as an address and is not public.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise RefusedError("a media address is not a URL") from None
    shown = shown_url(parsed)
    if parsed.scheme not in PORTS:
        raise RefusedError(f"{shown}: only http and https addresses are fetched")
    if parsed.userinfo:
        raise RefusedError(f"{shown}: a user name in an address is refused")
    if not parsed.host:
        raise RefusedError(f"{shown}: the address has no host")
    if parsed.port not in (None, PORTS[parsed.scheme]):
        raise RefusedError(f"{shown}: only the ports 80 and 443 are fetched from")
    literal = _literal(parsed.host)
    if literal is None and not HOST.fullmatch(parsed.raw_host):
        raise RefusedError(f"{shown}: the host has characters that no host has")
    if literal is not None and not is_public(literal):
        raise RefusedError(f"{shown}: not a public address")
    return parsed


def shown_url(url: httpx.URL) -> str:
    """Return a URL for messages: without user name, query and fragment, where secrets may lie."""
    return f"{url.scheme}://{url.host}{url.path}"[:200] if url.host else f"{url.scheme}:..."


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address.sixtofour is not None:
            return _is_public(address.sixtofour)
        if address in NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if (
            address.teredo is not None
            or address in NAT64_LOCAL
            or address in V4_COMPATIBLE
            or address in SITE_LOCAL
        ):
            return False
    # Each of these but the first is there since `is_global` leaves some of its range out in some release.
    return address.is_global and not (
        address.is_multicast
        or address.is_private
        or address.is_reserved
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def _literal(host: str) -> str | None:
    """The address that a host is written as, in any notation that resolvers take: `127.1`, `0x7f000001`."""
    host = host.strip("[]").rstrip(".")
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None
