"""A mail to one approver: composed by the standard library, so that no text of anybody's becomes a header.

Pure: sends nothing. The same job and approver give the same Message-ID, so that a repeated mail is recognised.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec

from jobrunner_approval.approver import Approver, check_email
from jobrunner_approval.failures import RefusedError
from jobrunner_approval.settings import ApprovalSettings
from jobrunner_approval.wording import Wording

SEVEN_BIT = SMTP.clone(cte_type="7bit")
"""Content in ASCII, since not every server on a mail's way takes more (RFC 6152)."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that is ready to be handed over.

    Args:
        message_id: Its Message-ID, with its angle brackets.
        sender: The envelope's sender.
        recipient: The envelope's recipient.
        content: Headers and body, in ASCII, lines ending in CRLF.
    """

    message_id: str
    sender: str
    recipient: str
    content: bytes


def message_id(job_id: str, approver_id: str, *, domain: str) -> str:
    """Return the Message-ID of a job's mail to an approver, the same in every attempt.

    Args:
        job_id: The job.
        approver_id: The approver.
        domain: The sender's domain.
    """
    digest = hashlib.sha256(f"{job_id}\0{approver_id}".encode()).hexdigest()[:40]
    return f"<{digest}.approval@{domain}>"


def compose(
    wording: Wording, approver: Approver, *, job_id: str, settings: ApprovalSettings, date: datetime
) -> Mail:
    """Compose a mail of plain text and HTML.

    Args:
        wording: What it says.
        approver: Who gets it.
        job_id: The job that sends it.
        settings: Who it is from.
        date: When it is sent, with a zone.

    Raises:
        RefusedError: The approver's address is none that a mail can be sent to.
    """
    sender = check_email(settings.from_address)
    try:
        recipient = check_email(approver.email)
    except ValueError as error:
        raise RefusedError(str(error)) from None
    local, _, domain = sender.rpartition("@")
    identity = message_id(job_id, approver.approver_id, domain=domain)
    message = EmailMessage(policy=SEVEN_BIT)
    message["From"] = Address(settings.from_name, local, domain)
    message["To"] = Address(_shown(approver.name), *recipient.rsplit("@", 1))
    message["Subject"] = wording.subject
    message["Date"] = format_datetime(date)
    message["Message-ID"] = identity
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday note comes back (RFC 3834)
    message.set_content(wording.plain)
    message.add_alternative(wording.html, subtype="html")
    return Mail(message_id=identity, sender=sender, recipient=recipient, content=message.as_bytes())


def _shown(name: str) -> str:
    return "".join(char for char in " ".join(name.split()) if char.isprintable())
