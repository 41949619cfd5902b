"""An approver, and what makes a mail address and a phone number usable.

Pure: nothing here knows where approvers are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@|+-]{0,127}")
ONE_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]+")
MOST_ID = 128
MOST_NAME = 200

LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
MOST_LOCAL = 64
MOST_ADDRESS = 254
"""Source: RFC 5321, section 4.5.3.1, and RFC 3696 with its erratum for the whole."""

PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
PHONE_SEPARATORS = re.compile(r"[\s().\-\u2010-\u2015\u200e\u200f\u202a-\u202e]")
TRUNK_ZERO = re.compile(r"\(0\)")


class Approver(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One approver of one tenant.

    Args:
        tenant_id: The tenant.
        approver_id: The approver's id, unique within the tenant.
        name: For people, may be empty.
        email: Their mail address, empty for none.
        phone: Their WhatsApp number in E.164, empty for none.
    """

    tenant_id: str
    approver_id: str
    name: str = ""
    email: str = ""
    phone: str = ""


def make_approver(*, tenant_id: str, approver_id: str, name: str, email: str, phone: str) -> Approver:
    """Return an approver whose fields are checked and in one form.

    Args:
        tenant_id: As a job's tenant.
        approver_id: 1 to 128 characters.
        name: Up to 200 characters.
        email: A mail address, or nothing.
        phone: A phone number with its country code, or nothing.

    Raises:
        ValueError: A field does not fit; the text begins with its name as in a CSV file.
    """
    fields = {
        "tenantId": (tenant_id, TENANT.fullmatch(tenant_id), "letters, digits and ._:@|+-, up to 128"),
        "approverId": (approver_id, _is_line(approver_id, MOST_ID), "1 to 128 characters on one line"),
        "name": (name, not name or _is_line(name, MOST_NAME), "up to 200 characters on one line"),
    }
    for field, (value, fits, wanted) in fields.items():
        if not fits:
            raise ValueError(f"{field}: {value[:80]!r} does not fit: {wanted}")
    if not email and not phone:
        raise ValueError("email: there is neither a mail address nor a phone number; give one of them")
    return Approver(
        tenant_id=tenant_id,
        approver_id=approver_id,
        name=name,
        email=_of("email", check_email, email) if email else "",
        phone=_of("phone", check_phone, phone) if phone else "",
    )


def check_email(text: str) -> str:
    """Return a mail address, its domain in ASCII.

    Args:
        text: Such as `ana@example.com`; a domain in other letters is turned into its ASCII form.

    Raises:
        ValueError: It is none that every mail server takes.
    """
    local, at, domain = text.rpartition("@")
    try:
        plain = domain.encode("idna").decode().lower()
    except UnicodeError:
        plain = ""
    labels = plain.split(".")
    fits = LOCAL_PART.fullmatch(local) and len(local) <= MOST_LOCAL and len(plain) + len(local) < MOST_ADDRESS
    if not at or not fits or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text[:80]!r} is no mail address such as ana@example.com")
    return f"{local}@{plain}"


def check_phone(text: str) -> str:
    """Return a phone number in E.164.

    Raises:
        ValueError: It has no country code, or is no number.
    """
    plain = PHONE_SEPARATORS.sub("", TRUNK_ZERO.sub("", text))
    if plain.startswith("00"):
        plain = f"+{plain[2:]}"
    if PHONE.fullmatch(plain) is None:
        raise ValueError(f"{text[:80]!r} is no number with + and its country code such as +49 151 23456789")
    return plain


def _is_line(text: str, most: int) -> bool:
    return len(text) <= most and ONE_LINE.fullmatch(text) is not None


def _of(field: str, check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
