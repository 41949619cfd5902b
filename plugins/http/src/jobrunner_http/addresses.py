"""Whom a request comes from, for bounds by address: the peer, or what a trusted proxy says of it. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

V6_BITS = 64
"""Of an IPv6 address the part that stands for one customer: whoever has one has 2**64, and could use each once."""

MAX_HOPS = 32
"""Addresses of `X-Forwarded-For` that are looked at, from the end; nobody has more proxies of their own."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Addresses:
    """Tells where requests come from.

    Args:
        proxies: Addresses and networks of proxies whose `X-Forwarded-For` is believed.
    """

    def __init__(self, proxies: Sequence[str] = ()) -> None:
        self._proxies: list[Network] = [ipaddress.ip_network(one, strict=False) for one in proxies]

    def of(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The address of whoever asks.

        From the end of the list backwards, since each proxy adds the one that it saw, and what stands before the first
        that is not ours may be made up by the client.

        Args:
            peer: The other end of the connection.
            headers: The request's.

        Returns:
            An address; the peer's own text where it is none, such as that of a Unix socket.
        """
        if not self._proxies or not self._is_ours(peer):
            return peer
        told = b",".join(value for name, value in headers if name.lower() == b"x-forwarded-for")
        nearest = peer
        for raw in reversed(told.decode("latin-1").split(",")[-MAX_HOPS:]):
            hop = _bare(raw.strip())
            if not hop:
                return nearest
            nearest = hop
            if not self._is_ours(hop):
                return hop
        return nearest

    def _is_ours(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def bucket_of(address: str) -> str:
    """What is counted together: an IPv4 address, or the network of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is not None:
            return str(mapped)
        return str(ipaddress.ip_network((parsed, V6_BITS), strict=False))
    return str(parsed)


def is_network(text: str) -> bool:
    """Whether a text names an address or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _bare(text: str) -> str:
    """An address without the port that some proxies add, in its one spelling; empty where it is none."""
    host = text
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return ""
