"""The settings of the approval plugin, each read from `JOBRUNNER_APPROVAL_<FIELD>`.

Pure data with its bounds. The mail server's password and the database's address, which may hold one, are masked.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from jobrunner import Secret, Service, check_port
from jobrunner_approval.approver import check_email

SMTP_ADDRESS = r"^(smtp|smtps|smtp\+starttls)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$"
DATABASE_VARIABLE = "JOBRUNNER_APPROVAL_DATABASE_URL"
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
PLACES = ("{tenantId}", "{brandId}", "{postId}", "{approverId}")
"""What is filled into the address of a post."""

LOOPBACK = ("localhost", "127.0.0.1", "::1")

TlsMode = Literal["none", "starttls", "tls"]

MODES: dict[str, tuple[TlsMode, int]] = {
    "smtp": ("none", 25),
    "smtp+starttls": ("starttls", 587),
    "smtps": ("tls", 465),
}
"""A scheme's encryption and its port. Source: RFC 8314 for the ports of submission."""


class MailServerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server: where it is, and how the connection is encrypted."""

    host: str
    port: int
    tls: TlsMode


class ApprovalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where approvers are looked up, and how they are written to.

    Args:
        database_url: The approvers' table: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/DATABASE`.
        smtp_url: The mail server: `smtp://HOST:PORT` in clear, `smtp+starttls://` (587) and `smtps://` (465)
            encrypted, with the server's certificate checked.
        smtp_username: Who logs in there; empty: nobody does.
        smtp_password: The password. With a user name the connection must be encrypted, unless it ends on this machine.
        smtp_ca: A file of certificates that the server's is checked against; empty: the system's.
        from_address: The sender's address.
        from_name: The sender's name.
        review_url: Where a post is looked at; `{tenantId}`, `{brandId}`, `{postId}` and `{approverId}` are filled
            in. Empty: the notice has no link.
        on_unknown: What becomes of a mail whose answer was lost: `fail` records it as unknown, `retry` sends it
            again, under the same Message-ID.
        timeout: Seconds for connecting, and for each answer of the mail server, 1 to 300.
    """

    database_url: Annotated[str, Secret, Meta(pattern=r"^(sqlite|postgresql|postgres)://")] = (
        "sqlite:///approvers.db"
    )
    # Marked as secret only so that one with a password, which is refused here, is not shown in the refusal.
    smtp_url: Annotated[
        str,
        Service("smtp"),
        Secret,
        Meta(
            pattern=SMTP_ADDRESS,
            description="smtp://, smtp+starttls:// or smtps:// with a host and perhaps a port, such as smtp://localhost:25; user and password have variables of their own",
        ),
    ] = "smtp://localhost:25"
    smtp_username: Annotated[
        str, Meta(pattern=ONE_LINE, max_length=320, description="one line without control characters")
    ] = ""
    smtp_password: Annotated[str, Secret, Meta(max_length=1024)] = ""
    smtp_ca: str = ""
    from_address: Annotated[str, Meta(max_length=254)] = "approvals@localhost"
    from_name: Annotated[
        str, Meta(pattern=ONE_LINE, max_length=100, description="one line without control characters")
    ] = "Approvals"
    review_url: Annotated[
        str, Meta(pattern=r"^(https?://[^\s<>\"]+)?$", max_length=1000, description="a web address")
    ] = ""
    on_unknown: Literal["fail", "retry"] = "fail"
    timeout: Annotated[float, Meta(ge=1, le=300)] = 30.0

    def __post_init__(self) -> None:
        try:
            check_email(self.from_address)
        except ValueError as error:
            raise ValueError(f"from_address: {error}") from None
        check_port("database_url", self.database_url)
        unknown = [place for place in re.findall(r"\{[^{}]*\}", self.review_url) if place not in PLACES]
        if unknown:
            raise ValueError(f"review_url: {unknown[0]} is none of {', '.join(PLACES)}")
        if bool(self.smtp_username) != bool(self.smtp_password):
            missing, given = (
                ("smtp_password", "user name") if self.smtp_username else ("smtp_username", "password")
            )
            raise ValueError(f"{missing} must be set too: there is a {given} alone")
        server = self.mail_server()
        if self.smtp_username and server.tls == "none" and server.host not in LOOPBACK:
            raise ValueError(
                "smtp_url: a password would go out in clear; write smtp+starttls://HOST:587 or smtps://HOST:465"
            )

    def mail_server(self) -> MailServerAddress:
        """Return the mail server's address, taken apart.

        Raises:
            ValueError: The port is none.
        """
        parts = urlsplit(self.smtp_url)
        tls, port = MODES[parts.scheme]
        try:
            return MailServerAddress(host=parts.hostname or "", port=parts.port or port, tls=tls)
        except ValueError:
            raise ValueError("smtp_url: the port is 1 to 65535") from None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file; else it is PostgreSQL."""
        return self.database_url.startswith("sqlite")
