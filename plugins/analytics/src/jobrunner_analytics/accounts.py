"""The accounts that a worker may read, with their tokens, from a file of the operator's.

A mistake is an error that names the entry, never a token. The file is read when a worker starts and again when it
changes, so that a token can be renewed without a restart. Never writes it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner import PluginError, Secret

VARIABLE = "JOBRUNNER_ANALYTICS_ACCOUNTS"
MOST_FILE = 4 << 20

MISSING = re.compile(r"missing required field `([^`]+)`")
UNKNOWN = re.compile(r"contains unknown field `([^`]+)`")

FORMS = {
    "tenant": "one line without control characters",
    "brand": "one line without control characters",
    "platform": "a platform's name: letters, digits, . _ and -",
    "id": "printable ASCII without blanks",
    "token": "printable ASCII without blanks",
    "instance": "the address of an instance, such as https://fosstodon.org",
}
"""What the patterns of an entry's fields mean."""

Text = Meta(pattern=r"^[^\x00-\x1f\x7f]+$(?!\n)", max_length=200)


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    tenant: Annotated[str, Text]
    platform: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)", max_length=32)]
    id: Annotated[str, Meta(pattern=r"^[!-~]+$(?!\n)", max_length=200)]
    token: Annotated[str, Secret, Meta(pattern=r"^[!-~]+$(?!\n)", max_length=8192)]
    brand: Annotated[str, Text] | None = None
    instance: Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+/?$(?!\n)", max_length=255)] = ""


class Account:
    """One account on one platform, with its token, which no repr shows.

    Args:
        tenant: Whose it is.
        brand: The brand that it belongs to, None for all of the tenant's.
        platform: The platform's name in lower case.
        id: The account on it.
        token: Its bearer token.
        instance: The address of its instance, where it is not the settings'; Mastodon only.
        entry: Where it stands in the file, for people.
    """

    def __init__(
        self,
        *,
        tenant: str,
        platform: str,
        id: str,  # noqa: A002 - its name
        token: str,
        brand: str | None = None,
        instance: str = "",
        entry: str = "an entry",
    ) -> None:
        self.tenant = tenant
        self.brand = brand
        self.platform = platform
        self.id = id
        self.token = token
        self.instance = instance.rstrip("/")
        self.entry = entry

    def __repr__(self) -> str:
        return f"Account(platform={self.platform!r}, id={self.id!r}, entry={self.entry!r})"


class AccountBook:
    """All accounts of the file.

    Args:
        path: The file, empty for none.

    Raises:
        PluginError: It cannot be read, or an entry is wrong; the text names the entry.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path).expanduser() if path else None
        self._seen: tuple[int, int, int] | None = None
        self._accounts: tuple[Account, ...] = ()
        self._hint = ""
        self.refresh()

    @property
    def is_named(self) -> bool:
        """Whether the settings name a file at all."""
        return self._path is not None

    def find(self, *, tenant: str, brand: str | None, platform: str) -> Sequence[Account]:
        """Return a tenant's accounts on a platform.

        Args:
            tenant: Whose.
            brand: A brand: its own accounts, or where it has none those of all brands. None: all of the tenant's.
            platform: In any spelling.
        """
        known = [
            account
            for account in self._accounts
            if account.tenant == tenant and account.platform == platform.lower()
        ]
        if brand is None:
            return known
        own = [account for account in known if account.brand == brand]
        return own or [account for account in known if account.brand is None]

    def refresh(self) -> None:
        """Read the file again if it changed. Blocking.

        Raises:
            PluginError: It cannot be used; the accounts are those of before.
        """
        if self._path is None:
            return
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            if status.st_size > MOST_FILE:
                raise PluginError(f"{VARIABLE}: {self._path} has more than {MOST_FILE >> 20} MiB")
            content = self._path.read_bytes()
        except OSError as error:
            raise PluginError(f"{VARIABLE}: {self._path} cannot be read: {error.strerror}") from None
        self._accounts = tuple(_accounts(content, self._path))
        self._seen = seen
        others = stat.S_IMODE(status.st_mode) & (stat.S_IRGRP | stat.S_IROTH)
        self._hint = f"{self._path} holds tokens and others may read it: chmod 600" if others else ""

    def take_hint(self) -> str:
        """Return what people should be told about the file, once for each time it was read; else an empty text."""
        hint, self._hint = self._hint, ""
        return hint


def _accounts(content: bytes, path: Path) -> list[Account]:
    accounts: list[Account] = []
    known: dict[tuple[str, str | None, str, str], str] = {}
    for number, raw in enumerate(_entries(content, path), start=1):
        where = f"entry {number} of {path.name}{_described(raw)}"
        try:
            entry = msgspec.convert(raw, _Entry)
        except msgspec.ValidationError as error:
            raise PluginError(f"{VARIABLE}: {where}: {_worded(str(error))}") from None
        if entry.instance and entry.platform.lower() != "mastodon":
            raise PluginError(f"{VARIABLE}: {where}: only Mastodon has instances")
        key = (entry.tenant, entry.brand, entry.platform.lower(), entry.id)
        if key in known:
            raise PluginError(f"{VARIABLE}: {where} is the same account as {known[key]}: remove one")
        known[key] = f"entry {number}"
        accounts.append(
            Account(
                tenant=entry.tenant,
                brand=entry.brand,
                platform=entry.platform.lower(),
                id=entry.id,
                token=entry.token,
                instance=entry.instance,
                entry=where,
            )
        )
    return accounts


def _entries(content: bytes, path: Path) -> list[object]:
    kind = path.suffix.lower()
    try:
        if kind == ".json":
            decoded = msgspec.json.decode(content)
        elif kind == ".toml":
            decoded = msgspec.toml.decode(content)
        else:
            raise PluginError(f"{VARIABLE}: {path} must be a .toml or .json file")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # The place of the mistake, and no more: a message could quote a token.
        text = str(error) if kind == ".json" else str(error).partition("(")[2]
        place = f" ({_small(text).rstrip(')')})" if text else ""
        raise PluginError(f"{VARIABLE}: {path} is not {kind[1:].upper()}{place}") from None
    entries = decoded.get("accounts") if isinstance(decoded, dict) else None
    if not isinstance(entries, list) or set(decoded) != {"accounts"}:
        raise PluginError(f"{VARIABLE}: {path} must have a list `accounts`, and nothing beside it")
    return entries


def _described(raw: object) -> str:
    """Whose entry it seems to be, for people; the token is never in it."""
    if not isinstance(raw, dict):
        return ""
    parts = [str(raw[name])[:60] for name in ("tenant", "brand", "platform", "id") if raw.get(name)]
    return f" ({', '.join(parts)})" if parts and all(part.isprintable() for part in parts) else ""


def _worded(problem: str) -> str:
    """What is wrong with an entry, with its field first. msgspec's messages name fields and types, never values."""
    if missing := MISSING.search(problem):
        return f"{missing.group(1)}: it is missing"
    if unknown := UNKNOWN.search(problem):
        return f"{unknown.group(1)}: no field of an entry"
    said, _, place = problem.partition(" - at `$.")
    field = place.rstrip("`")
    if "matching regex" in said and field in FORMS:
        said = f"it must be {FORMS[field]}"
    return f"{field}: {_small(said)}" if field else _small(said)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
