"""The pieces of an address as text: host, port, database, path, yes or no; each checked and turned to a value.

Each function refuses with a `ProblemError` that never quotes its input, since a password that is not
percent-encoded may lie in any piece. Nothing here knows which variable or URL a piece came from.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Literal, TypeAlias
from urllib.parse import unquote

CertReqs: TypeAlias = Literal["required", "optional", "none"]

DEFAULT_PORT = 6379

ENCODE = "in a user name or a password, write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23"
"""The advice where a URL falls apart in an odd place: most often a password was pasted as it is."""

_MAX_DB = 2**31 - 1
"""The highest number of a database: the server keeps it as a 32-bit integer."""

_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}", re.ASCII)  # `_`: names of containers have it
_NUMBER = re.compile(r"[0-9]{1,10}", re.ASCII)


class ProblemError(ValueError):
    """What is wrong with a text; the caller knows which variable it came from."""


def host_and_port(text: str, default_port: int, *, missing: str = "") -> tuple[str, int]:
    """Read `host`, `host:port` or `[ipv6]:port` as they stand in a URL.

    Args:
        text: The piece; a zone of an IPv6 address follows `%` or `%25`.
        default_port: The port where the piece has none.
        missing: The host where the piece has none; empty refuses that.

    Returns:
        The host, an IPv6 address without brackets, and the port.

    Raises:
        ProblemError: It is no such piece.
    """
    if text.startswith("["):
        inside, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ProblemError(f"an IPv6 address stands in brackets, as in [::1]:6379; {ENCODE}")
        host = _ipv6(inside.replace("%25", "%"))
        port = port[1:]
    else:
        host, _, port = text.partition(":")
        if ":" in port:
            raise ProblemError(f"an IPv6 address stands in brackets, as in [::1]:6379; {ENCODE}")
        host = host or missing
        if not _HOST.fullmatch(host):
            raise ProblemError(f"a host is missing, or has characters that no host has; {ENCODE}")
    return host, _port(port) if port else default_port


def bare_host(text: str) -> str:
    """Read a host that stands alone, an IPv6 address with or without brackets.

    Raises:
        ProblemError: It is no host, or a whole URL.
    """
    if "://" in text:
        raise ProblemError("it holds a URL; set REDIS_URL instead")
    if ":" in text:
        return _ipv6(text.removeprefix("[").removesuffix("]"))
    if not _HOST.fullmatch(text):
        raise ProblemError("it must be a host's name or address")
    return text


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ProblemError(
            "what should be an IPv6 address is none; a port has a variable or place of its own"
        ) from None
    if address.scope_id and not _HOST.fullmatch(address.scope_id):
        raise ProblemError("the zone of an IPv6 address has characters that no zone has")
    return str(address)


def environment_port(text: str) -> int:
    """Read a port that stands alone, 1 to 65,535; 6379 where it is empty.

    Raises:
        ProblemError: It is no port, or the URL that Kubernetes puts in its place.
    """
    if "://" in text:
        raise ProblemError(
            "it holds a URL, as Kubernetes sets it for a Service named redis; "
            "set REDIS_URL, or enableServiceLinks: false in the pod"
        )
    if not text:
        return DEFAULT_PORT
    try:
        return _port(text)
    except ProblemError:
        raise ProblemError("it must be a number from 1 to 65535, such as 6379") from None


def _port(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= 65_535:
        raise ProblemError(f"the port must be a number from 1 to 65535; {ENCODE}")
    return int(text)


def database(text: str) -> int:
    """Read the number of a database, 0 where it is empty.

    Raises:
        ProblemError: It is no such number.
    """
    if not text:
        return 0
    if not _NUMBER.fullmatch(text) or int(text) > _MAX_DB:
        raise ProblemError("the database must be a number from 0 up, such as 0")
    return int(text)


def to_path(text: str) -> str:
    """Read a path, percent-decoded.

    Raises:
        ProblemError: No file can have that path.
    """
    path = decode(text)
    if "\0" in path:
        raise ProblemError("a path has no zero byte")
    return path


def cert_reqs(text: str) -> CertReqs:
    """Read what is asked of a server's certificate, in any case, with or without a leading `CERT_`.

    Raises:
        ProblemError: It is none of the three words.
    """
    match text.lower().removeprefix("cert_"):  # CERT_NONE and the like is how Celery writes it
        case "required":
            return "required"
        case "optional":
            return "optional"
        case "none":
            return "none"
        case _:
            raise ProblemError("ssl_cert_reqs must be required, optional or none")


def flag(name: str, text: str) -> bool:
    """Read a yes or no.

    Args:
        name: The option's name, for the error.
        text: Its value: true, yes, 1, false, no or 0, in any case.

    Raises:
        ProblemError: It is none of these.
    """
    match text.lower():
        case "true" | "yes" | "1":
            return True
        case "false" | "no" | "0":
            return False
        case _:
            raise ProblemError(f"{name} must be true or false")


def decode(text: str) -> str:
    """Undo percent-encoding; a `%` without two hexadecimal digits stands for itself.

    Raises:
        ProblemError: The bytes are not UTF-8.
    """
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise ProblemError("what is percent-encoded in it is not UTF-8") from None


def utf8(text: str) -> str:
    """Return `text` if it can be sent; an environment variable may hold bytes that cannot.

    Raises:
        ProblemError: It cannot.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ProblemError("it is not UTF-8") from None
    return text
