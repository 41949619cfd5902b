"""Names and ids: which are allowed, and how new ones are made.

Names become parts of Redis keys and of file-like listings, so they are checked at the edge and again where
keys are built. Nothing here ever cleans a bad name up: it is refused.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import time
from collections.abc import Mapping

from jobrunner.errors import InvalidNameError

MAX_JOB_ID = 128

_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
_PLUGIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [a + b for a in _CROCKFORD for b in _CROCKFORD]  # ten bits each
# A random byte to a character: of five random bits; of the version 0111 and the first bit of `rand_a`; of the last bit of
# `rand_a`, the variant 10, and the first two bits of `rand_b`.
_DIGIT = bytes(ord(_CROCKFORD[byte % 32]) for byte in range(256))
_VERSION = bytes(ord(_CROCKFORD[0b01110 | byte & 0b00001]) for byte in range(256))
_VARIANT = bytes(ord(_CROCKFORD[0b01000 | byte & 0b10011]) for byte in range(256))
_CHUNK = 256  # ids
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_OWN_ID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}", re.ASCII)


def check_queue(name: str) -> str:
    """Return `name` if it can name a queue: a letter or digit, then up to 63 of letters, digits, `.`, `_`, `-`.

    Raises:
        InvalidNameError: It cannot.
    """
    return _check(
        _QUEUE, "queue name", name, "1 to 64 of letters, digits, '.', '_' and '-', a letter or digit first"
    )


def is_queue(name: str) -> bool:
    """Whether it can name a queue."""
    return _QUEUE.fullmatch(name) is not None


def check_job_id(job_id: str) -> str:
    """Return `job_id` if it can name a job: as a queue name, up to 128 characters.

    Raises:
        InvalidNameError: It cannot.
    """
    return _check(
        _JOB_ID, "job id", job_id, "1 to 128 of letters, digits, '.', '_' and '-', a letter or digit first"
    )


def check_tenant(tenant: str) -> str:
    """Return `tenant` if it can name a tenant; the empty string stands for none and passes.

    Raises:
        InvalidNameError: It cannot.
    """
    if tenant == "" or is_tenant(tenant):
        return tenant
    return _check(
        _TENANT, "tenant", tenant, "1 to 128 of letters, digits and '._:@|+-', a letter or digit first"
    )


@functools.lru_cache(1024)
def is_tenant(tenant: str) -> bool:
    """Whether it can name one; a batch names the same few again and again."""
    return isinstance(tenant, str) and _TENANT.fullmatch(tenant) is not None


def check_prefix(prefix: str) -> str:
    """Return `prefix` if keys may begin with it: 1 to 32 of letters, digits, `.`, `_`, `-`.

    Raises:
        InvalidNameError: It cannot.
    """
    return _check(_PREFIX, "prefix", prefix, "1 to 32 of letters, digits, '.', '_' and '-'")


def check_plugin(name: str) -> str:
    """Return `name` if it can name a plugin: lower-case letters, digits, `_`, `-`.

    Raises:
        InvalidNameError: It cannot.
    """
    return _check(_PLUGIN, "plugin name", name, "1 to 64 of lower-case letters, digits, '_' and '-'")


def _check(pattern: re.Pattern[str], what: str, name: str, allowed: str) -> str:
    if not isinstance(name, str) or not pattern.fullmatch(name):
        shown = repr(name)
        shown = shown if len(shown) <= 80 else f"{shown[:76]}...'"
        raise InvalidNameError(f"{what} {shown} is not allowed: use {allowed}")
    return name


class JobIds:
    """Makes job ids: UUIDv7s in 26 lower-case Crockford base32 characters; those of a later millisecond sort after.

    Asks the system for randomness in chunks that grow with use. One thread at a time; not to be carried over a fork.

    Source: RFC 9562 section 5.7 for the bits, the ULID text form for the characters.
    """

    __slots__ = ("_chances", "_moment", "_number", "_time")

    def __init__(self) -> None:
        self._chances: list[str] = []
        """What follows the time in the next ids, each by chance."""
        self._number = 1
        self._moment = -1
        self._time = ""

    def new(self) -> str:
        """Make an id."""
        moment = time.time_ns() // 1_000_000
        if moment != self._moment:
            self._moment = moment
            self._time = "".join([_PAIRS[moment >> shift & 1023] for shift in (40, 30, 20, 10, 0)])
        return self._time + (self._chances or self._more()).pop()

    def _more(self) -> list[str]:
        chance = os.urandom(16 * self._number)
        digits = bytearray(chance.translate(_DIGIT))
        digits[0::16] = chance[0::16].translate(_VERSION)
        digits[3::16] = chance[3::16].translate(_VARIANT)
        text = digits.decode()
        self._chances = [text[at : at + 16] for at in range(0, len(text), 16)]
        self._number = min(_CHUNK, 4 * self._number)
        return self._chances


def new_job_id() -> str:
    """Make one job id; see `JobIds`."""
    return JobIds().new()


def is_own_id(job_id: str) -> bool:
    """Say whether the id has the form that `new_job_id` gives."""
    return _OWN_ID.fullmatch(job_id) is not None


def new_nonce() -> str:
    """Make a nonce: 128 random bits in 22 URL-safe characters."""
    return base64.urlsafe_b64encode(os.urandom(16))[:22].decode()


def trace_id(headers: Mapping[str, str]) -> str:
    """The trace that a job belongs to, by its `traceparent` header; empty where there is none, or it is none.

    Source: W3C Trace Context, `traceparent`.
    """
    found = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return found[1] if found and found[1].strip("0") else ""
