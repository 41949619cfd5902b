"""The mails that the stand-in of a mail server took, and whom its greylist knows. Nothing here speaks SMTP."""

from __future__ import annotations

import threading
from email import message_from_bytes, policy
from email.message import EmailMessage

import msgspec


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One mail as it was taken.

    Args:
        sender: The address of `MAIL FROM`.
        recipients: Those of `RCPT TO` that were taken.
        content: The mail itself, headers and body, lines ending in CRLF.
        user: Who was logged in, empty for nobody.
        encrypted: Whether the connection was.
        at: Unix time in seconds.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    user: str = ""
    encrypted: bool = False
    at: float

    def message(self) -> EmailMessage:
        """Return the mail, read."""
        read = message_from_bytes(self.content, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


class MailRoom:
    """Every mail that was taken, and whom the greylist knows; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: list[Mail] = []
        self._seen: set[tuple[str, str]] = set()

    def mails(self) -> list[Mail]:
        """Return the mails, oldest first."""
        with self._lock:
            return list(self._mails)

    def take(self, mail: Mail) -> None:
        """Keep a mail."""
        with self._lock:
            self._mails.append(mail)

    def greet(self, sender: str, recipient: str) -> bool:
        """Return whether the two were seen before; from now on they were."""
        with self._lock:
            known = (sender, recipient) in self._seen
            self._seen.add((sender, recipient))
        return known

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._mails.clear()
            self._seen.clear()
