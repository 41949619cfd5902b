"""Cursors for callers that are held to some tenants: sealed, since a cursor names the job that a look ended at.

That job may be another tenant's. A sealed cursor tells nothing, fits where a plain one does, and is good for its token
only. The key lies in the store, so every copy of the service opens what another one sealed.

This keeps an id and a position from people who hold a token, and nothing more: no payload depends on it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from jobrunner.errors import InvalidNameError

MARK = "0:s"
"""How a sealed cursor begins: as a plain one could."""

NONCE = 8
TAG = 12


class Cursors:
    """Seals and opens.

    Args:
        key: What all copies share.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, cursor: str, token_id: str) -> str:
        """A cursor that tells nothing; the empty one, which means the end, stays empty."""
        if not cursor:
            return ""
        nonce = secrets.token_bytes(NONCE)
        hidden = self._crossed(cursor.encode(), nonce)
        sealed = nonce + hidden + self._tag(nonce + hidden, token_id)
        return MARK + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, sealed: str, token_id: str) -> str:
        """What was sealed for a token.

        Raises:
            InvalidNameError: It was not, or not here.
        """
        if not sealed:
            return ""
        wrong = InvalidNameError("this is no cursor of this token; take `next` from the answer before")
        text = sealed.removeprefix(MARK)
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raise wrong from None
        body, tag = raw[:-TAG], raw[-TAG:]
        if len(body) <= NONCE or not hmac.compare_digest(tag, self._tag(body, token_id)):
            raise wrong
        return self._crossed(body[NONCE:], body[:NONCE]).decode()

    def _tag(self, body: bytes, token_id: str) -> bytes:
        return hmac.digest(self._key, b"tag " + token_id.encode() + b" " + body, hashlib.sha256)[:TAG]

    def _crossed(self, text: bytes, nonce: bytes) -> bytes:
        """The text with a stream of bytes that the key and the nonce give; the same again gives the text back."""
        blocks = range(len(text) // 32 + 1)
        stream = b"".join(
            hmac.digest(self._key, b"stream " + nonce + number.to_bytes(4, "big"), hashlib.sha256)
            for number in blocks
        )
        return bytes(one ^ other for one, other in zip(text, stream, strict=False))
