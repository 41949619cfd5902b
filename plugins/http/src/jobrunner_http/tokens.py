"""Tokens: how they are made, what is kept of them, and who a token is.

A token is `jrt_ID_SECRET`. Only its SHA-256 digest is kept, by its id, in the store. What is kept is read anew every two
seconds at the most, so a token that was revoked stops soon after, everywhere; nobody is let in by what is older than that
and cannot be read anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time

import msgspec

from jobrunner.admin import Admin
from jobrunner.errors import InvalidNameError, StoreError
from jobrunner.names import check_queue, check_tenant
from jobrunner_http.access import ROLES, Caller, Role

FRESH_S = 2.0
"""Seconds for which what was read of the tokens is believed without asking again."""

STALE_S = 4.0
"""Seconds after which what was read is believed no more, even where the store is away: a revoked token stops within 5 s."""

MAX_TOKENS = 1000
"""Tokens that a store keeps: they are read together."""

MAX_NAME = 64

_TOKEN = re.compile(r"jrt_([a-z2-7]{10})_([A-Za-z0-9_-]{43})", re.ASCII)
_ID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_NO_DIGEST = hashlib.sha256(b"").hexdigest()


class KeptToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is kept of a token."""

    id: str
    name: str
    role: str
    digest: str
    """SHA-256 of the whole token, in hexadecimal."""
    created_at: int
    """ms since 1970."""
    expires_at: int | None = None
    tenants: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None

    def is_over(self, now_ms: int) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and now_ms >= self.expires_at


def make_token(
    name: str,
    role: Role,
    *,
    tenants: tuple[str, ...] = (),
    queues: tuple[str, ...] = (),
    days: float | None = None,
    now_ms: int | None = None,
) -> tuple[str, KeptToken]:
    """Make a token.

    Args:
        name: What people call it: 1 to 64 printable characters.
        role: What it may do.
        tenants: Those that it is limited to; none is all.
        queues: Those that it is limited to; none is all.
        days: Days until it stops; None is never.
        now_ms: The time, in ms since 1970; None is now.

    Returns:
        The token, which is shown once, and what is kept of it.

    Raises:
        InvalidNameError: A name is not allowed.
    """
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise InvalidNameError(f"token name {name!r:.80} is not allowed: use 1 to 64 printable characters")
    for tenant in tenants:
        if not check_tenant(tenant):
            raise InvalidNameError("a tenant that a token is limited to has a name")
    for queue in queues:
        check_queue(queue)
    token_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(10))
    text = f"jrt_{token_id}_{secrets.token_urlsafe(32)}"
    now = int(time.time() * 1000) if now_ms is None else now_ms
    kept = KeptToken(
        id=token_id,
        name=name,
        role=role.label,
        digest=digest_of(text),
        created_at=now,
        expires_at=None if days is None else now + int(days * 86_400_000),
        tenants=tuple(dict.fromkeys(tenants)) or None,
        queues=tuple(dict.fromkeys(queues)) or None,
    )
    return text, kept


def digest_of(text: str) -> str:
    """What is kept of a token's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_tokens(raw: dict[str, bytes]) -> dict[str, KeptToken]:
    """What is kept, by id; an entry that cannot be read, or names a role that nobody knows, opens nothing."""
    found = {}
    for token_id, text in raw.items():
        try:
            kept = msgspec.json.decode(text, type=KeptToken)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if kept.role in ROLES:
            found[token_id] = msgspec.structs.replace(kept, id=token_id)
    return found


class TokenBook:
    """Says who a token is.

    Args:
        admin: Where tokens are kept.
        local: Tokens of this process alone, which no store knows; `--dev` has one.
    """

    def __init__(self, admin: Admin, local: tuple[KeptToken, ...] = ()) -> None:
        self._admin = admin
        self._local = {kept.id: kept for kept in local}
        self._kept: dict[str, KeptToken] = {}
        self._read_at = -STALE_S
        self._reading = asyncio.Lock()

    @property
    def age_s(self) -> float:
        """Seconds since the store last said which tokens there are."""
        return time.monotonic() - self._read_at

    async def caller(self, text: str) -> Caller | None:
        """Who a token is; None where it is nobody's, or is over.

        Raises:
            StoreError: The store cannot be asked, and what is known is too old.
        """
        match = _TOKEN.fullmatch(text)
        token_id = match.group(1) if match else ""
        kept = self._local.get(token_id)
        if kept is None:
            if match is None:
                return None
            await self.refresh()
            kept = self._kept.get(token_id)
        same = hmac.compare_digest(digest_of(text), kept.digest if kept else _NO_DIGEST)
        if kept is None or not same or kept.is_over(int(time.time() * 1000)):
            return None
        return Caller(
            token_id=kept.id,
            name=kept.name,
            role=ROLES[kept.role],
            tenants=kept.tenants,
            queues=kept.queues,
            expires_ms=kept.expires_at,
        )

    async def is_good(self, token_id: str) -> bool:
        """Whether a token that was let in before still is one; for streams, which outlive their request.

        Raises:
            StoreError: As `caller`.
        """
        kept = self._local.get(token_id)
        if kept is None:
            await self.refresh()
            kept = self._kept.get(token_id)
        return kept is not None and not kept.is_over(int(time.time() * 1000))

    async def refresh(self) -> None:
        """Read the tokens where what is known is not fresh; one reads for all who ask meanwhile.

        Raises:
            StoreError: The store cannot be asked, and what is known is too old.
        """
        if self.age_s < FRESH_S:
            return
        async with self._reading:
            if self.age_s < FRESH_S:
                return
            begun = time.monotonic()
            try:
                async with asyncio.timeout(STALE_S - FRESH_S):
                    kept = read_tokens(await self._admin.tokens())
            except (StoreError, TimeoutError) as error:
                if self.age_s < STALE_S:
                    return
                if isinstance(error, StoreError):
                    raise
                raise StoreError("the store does not answer") from None
            self._kept, self._read_at = kept, begun

    async def count(self) -> int:
        """How many tokens would be let in now.

        Raises:
            StoreError: The store cannot be asked.
        """
        now_ms = int(time.time() * 1000)
        kept = read_tokens(await self._admin.tokens())
        return sum(1 for one in kept.values() if not one.is_over(now_ms)) + len(self._local)
