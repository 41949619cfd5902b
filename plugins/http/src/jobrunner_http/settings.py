"""The settings of the HTTP API, each read from `JOBRUNNER_HTTP_<FIELD>`.

Pure data with its bounds. Holds no token: those are made with `jobrunner token new`, and only their digests are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from jobrunner.settings import plugin_settings
from jobrunner_http import patterns
from jobrunner_http.addresses import is_network

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Host names under which this machine reaches itself; always allowed."""

Port = Annotated[int, Meta(ge=0, le=65_535)]


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the HTTP API is served.

    Attributes:
        host: The address to listen at.
        port: The port to listen at; 0 lets the system choose one.
        public_url: Where browsers find it behind a proxy, such as `https://jobs.example.com`: its host name and its
            origin are allowed, and with https the log-in cookie is sent over TLS only.
        allowed_hosts: Further host names that requests may be for, without ports; `*` is any.
        cors_origins: Origins whose pages may call the API with a token; none by default.
        max_body: Bytes that a request's body may have, 1 KiB to 64 MiB.
        max_header: Bytes that a request's head may have, 8 KiB to 1 MiB.
        header_timeout: Seconds in which a request's head must have arrived, 1 to 300.
        receive_timeout: Seconds in which a request's body must have arrived, 1 to 3,600.
        send_timeout: Seconds for which a client may take nothing of its answer, 1 to 3,600; then its connection ends.
        max_connections: Connections at once; further ones wait until one ends.
        max_streams: Event streams at once.
        max_per_address: Requests that one address may have under way at once, streams among them; 1 to 100,000.
        wrong_tokens: Wrong tokens a minute that an address may send, 1 to 100,000; a burst of 20 is let through.
        proxies: Addresses and networks of proxies whose `X-Forwarded-For` says where a request comes from; none by
            default, and then every request behind a proxy counts as the proxy's.
        rate: Requests a second that a token may make, 0.1 to 100,000; a burst of four seconds' worth is let through.
        metrics_port: A port of their own for the metrics, without a token; 0 serves them under `/metrics` to tokens.
        metrics_host: The address of that port.
        grace: Seconds that requests under way get at a stop, 0 to 300.
    """

    host: str = "127.0.0.1"
    port: Port = 3000
    public_url: Annotated[str, Meta(pattern=patterns.SITE_OR_NONE)] = ""
    allowed_hosts: tuple[str, ...] = ()
    cors_origins: tuple[Annotated[str, Meta(pattern=patterns.ORIGIN)], ...] = ()
    max_body: Annotated[int, Meta(ge=1024, le=64 << 20)] = 1 << 20
    max_header: Annotated[int, Meta(ge=8192, le=1 << 20)] = 32 << 10
    header_timeout: Annotated[float, Meta(ge=1, le=300)] = 10.0
    receive_timeout: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    send_timeout: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    max_connections: Annotated[int, Meta(ge=10, le=100_000)] = 2000
    max_streams: Annotated[int, Meta(ge=1, le=10_000)] = 200
    max_per_address: Annotated[int, Meta(ge=1, le=100_000)] = 100
    wrong_tokens: Annotated[float, Meta(ge=1, le=100_000)] = 20.0
    proxies: tuple[str, ...] = ()
    rate: Annotated[float, Meta(ge=0.1, le=100_000)] = 50.0
    metrics_port: Port = 0
    metrics_host: str = "127.0.0.1"
    grace: Annotated[float, Meta(ge=0, le=300)] = 5.0

    def __post_init__(self) -> None:
        for one in self.proxies:
            if not is_network(one):
                raise ValueError(f"proxies: {one!r:.60} is no address and no network, such as 10.0.0.0/8")

    @property
    def hosts(self) -> frozenset[str]:
        """Every host name that requests may be for, in lower case."""
        own = () if self.host in ("0.0.0.0", "::", "") else (self.host,)  # noqa: S104 - what is compared, not bound
        named = (*LOOPBACK, *own, *self.allowed_hosts, urlsplit(self.public_url).hostname or "")
        return frozenset(bracketed(name.lower()) for name in named if name)

    @property
    def origin(self) -> str:
        """The origin of the dashboard's pages behind a proxy; empty where there is none."""
        return self.public_url.rstrip("/").lower()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return bracketed(self.host.lower()) in LOOPBACK or self.host.startswith("127.")


def bracketed(host: str) -> str:
    """A host name as the Host header has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def http_settings(environ: Mapping[str, str]) -> HttpSettings:
    """Read the settings.

    Raises:
        SettingsError: A variable has a value that cannot be used.
    """
    return plugin_settings("http", HttpSettings, environ)
