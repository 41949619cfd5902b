"""Payloads at rest: sealed with AES-256-GCM before they are sent, opened where they are run or looked at.

Which queues are sealed is the producer's business. Nothing here knows Redis, and no key ever leaves this module.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from jobrunner.codec import fingerprint
from jobrunner.errors import MissingKeyError, PayloadError, SettingsError
from jobrunner.record import Record

VARIABLE = "JOBRUNNER_ENCRYPTION_KEYS"

_OPENING = b'"sealed:1:'
"""What a sealed payload begins with in its record. A payload in clear is an object, and never a text."""

_KEY = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,31}):([A-Za-z0-9+/_=-]+)")
_SEALED = re.compile(rb'"sealed:1:([A-Za-z0-9._-]{1,32}):([A-Za-z0-9_=-]+)"')

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 random bits: NIST SP 800-38D bounds one key to 2^32 of them, so a key is good for four billion payloads."""


class Cipher(Protocol):
    """What is used of the library's AES-GCM."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Seal."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes, /) -> bytes:
        """Open, or raise."""
        ...


class Keyring:
    """The keys that payloads are sealed and opened with. Thread-safe.

    Args:
        texts: `id:key` each, the key being 32 bytes in base64. The first seals, all of them open. Empty: nothing is
            sealed.

    Raises:
        SettingsError: One of them is none, two have the same id, or the library for it is not installed. The text
            shows no key.
    """

    def __init__(self, texts: Sequence[str] = ()) -> None:
        self._keys = _parsed(texts)
        self._first = next(iter(self._keys), "")
        self._ciphers = _ciphers(self._keys)
        # Marks are keyed by the oldest key, so that a new one in front changes no mark.
        oldest = list(self._keys.values())[-1] if self._keys else b""
        self._mark_key = hmac.digest(oldest, b"jobrunner fingerprint", "sha256")

    def __bool__(self) -> bool:
        return bool(self._keys)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    def seal(self, payload: bytes, *, bound_to: bytes) -> bytes:
        """Seal an encoded payload.

        Args:
            payload: The payload as JSON.
            bound_to: What it belongs to; it opens nowhere else. See `binding`.

        Returns:
            A JSON text that names the key's id.
        """
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._ciphers[self._first].encrypt(nonce, payload, bound_to)
        return _OPENING + self._first.encode() + b":" + base64.urlsafe_b64encode(sealed) + b'"'

    def opened(self, record: Record, queue: str, job_id: str) -> Record:
        """The record with its payload in clear; the same one if it is that already.

        Raises:
            MissingKeyError: It was sealed with a key that is not here.
            PayloadError: It was changed, moved from another job, or sealed with another key of that id.
        """
        if not is_sealed(record):
            return record
        raw = bytes(record.payload)
        key, text = _parts(raw)
        if key not in self._keys:
            raise MissingKeyError(key)
        try:
            sealed = base64.urlsafe_b64decode(text)
            clear = self._ciphers[key].decrypt(
                sealed[:NONCE_BYTES],
                sealed[NONCE_BYTES:],
                binding(queue, job_id, record.tenant, record.version),
            )
        except Exception:  # noqa: BLE001 - the library's own kinds of refusal, none of which says more
            problem = f"the payload cannot be opened: it was changed, or the key {key!r} in {VARIABLE} is another one"
            raise PayloadError(queue, "", problem) from None
        return msgspec.structs.replace(record, payload=msgspec.Raw(clear))

    def opens(self, record: Record) -> bool:
        """Whether the record is in clear, or sealed with a key that is here."""
        return not is_sealed(record) or _parts(bytes(record.payload))[0] in self._keys

    def mark(self, tenant: str, payload: bytes) -> str:
        """A fingerprint that tells nothing to who has no key: of a tenant and a payload with sorted keys."""
        return fingerprint(tenant, hmac.digest(self._mark_key, payload, "sha256"))


def is_sealed(record: Record) -> bool:
    """Whether a record's payload is sealed."""
    return bytes(memoryview(record.payload)[: len(_OPENING)]) == _OPENING


def binding(queue: str, job_id: str, tenant: str, version: int) -> bytes:
    """What a sealed payload is bound to: a job of one queue and tenant. None of the parts may hold a NUL."""
    return b"\0".join([queue.encode(), job_id.encode(), tenant.encode(), b"%d" % version])


def _parts(raw: bytes) -> tuple[str, bytes]:
    """The key's id and the sealed bytes in base64; an id that no key has where it cannot be read."""
    found = _SEALED.fullmatch(raw)
    return (found.group(1).decode(), found.group(2)) if found else ("", b"")


def _parsed(texts: Sequence[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, text in enumerate(texts, start=1):
        found = _KEY.fullmatch(text)
        if not found:
            raise SettingsError(VARIABLE, f"key {number} is not `id:base64`, such as 2026a:...")
        name, written = found.groups()
        try:
            key = base64.b64decode(written.replace("-", "+").replace("_", "/") + "=" * (-len(written) % 4))
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            problem = f"key {name!r} is not {KEY_BYTES} bytes in base64; make one with: openssl rand -base64 {KEY_BYTES}"
            raise SettingsError(VARIABLE, problem)
        if name in keys:
            raise SettingsError(VARIABLE, f"the id {name!r} is there twice")
        if key in keys.values():
            raise SettingsError(VARIABLE, f"key {name!r} is the same as another one")
        keys[name] = key
    return keys


def _ciphers(keys: Mapping[str, bytes]) -> dict[str, Cipher]:
    if not keys:
        return {}
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - an extra
    except ImportError:
        raise SettingsError(
            VARIABLE, "sealing needs a library: pip install 'jobrunner-core[crypto]'"
        ) from None
    return {name: AESGCM(key) for name, key in keys.items()}
