"""What a notice says, as plain text, as HTML and as a WhatsApp message.

Whatever people wrote is text here and nothing else: escaped in HTML, on one line in a subject.
"""

from __future__ import annotations

import html
import re
from datetime import datetime
from urllib.parse import quote

import msgspec

from jobrunner_approval.approver import Approver
from jobrunner_approval.payload import ApprovalNotify

PLACE = re.compile(r"\{(?:tenant|brand|post|approver)Id\}")

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<body style="font-family: sans-serif; line-height: 1.5; color: #222">
{paragraphs}
</body>
</html>
"""


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """What one approver is told.

    Args:
        subject: On one line.
        plain: The mail's plain text, and the WhatsApp message.
        html: The mail's HTML.
    """

    subject: str
    plain: str
    html: str


def word(payload: ApprovalNotify, approver: Approver, *, review_url: str) -> Wording:
    """Put a notice into words.

    Args:
        payload: What it is about.
        approver: Who is told.
        review_url: The settings' address of a post, its places not filled in; empty for no link.
    """
    post, brand = _line(payload.post_id), _line(payload.brand_id)
    subject = f"Approval needed: {post} of {brand}"
    greeting = f"Hello {_line(approver.name)}," if approver.name.strip() else "Hello,"
    request = f"The post {post} of the brand {brand} waits for your approval"
    request += f", by {_moment(payload.due_date)}." if payload.due_date else "."
    message = _body(payload.message or "")
    link = _link(review_url, payload, approver)
    plain = [greeting, request, message, f"Look at it here: {link}" if link else ""]
    shown = [
        _paragraph(greeting),
        _paragraph(request),
        _paragraph(message, style="border-left: 3px solid #ccc; padding-left: 1em") if message else "",
        f'<p><a href="{html.escape(link)}">Look at it here</a></p>' if link else "",
    ]
    return Wording(
        subject=subject,
        plain="\n\n".join(part for part in plain if part),
        html=PAGE.format(paragraphs="\n".join(part for part in shown if part)),
    )


def _link(review_url: str, payload: ApprovalNotify, approver: Approver) -> str:
    places = {
        "{tenantId}": payload.tenant_id,
        "{brandId}": payload.brand_id,
        "{postId}": payload.post_id,
        "{approverId}": approver.approver_id,
    }
    # In one go, so that an id that looks like a place is none.
    return PLACE.sub(lambda found: quote(places[found[0]], safe=""), review_url)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".rstrip()


def _line(text: str) -> str:
    """A text on one line, without what is not to be seen."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _body(text: str) -> str:
    """A text of several lines, without control characters."""
    lines = (
        "".join(char for char in line if char.isprintable() or char == "\t") for line in text.splitlines()
    )
    return "\n".join(line.rstrip() for line in lines).strip()


def _paragraph(text: str, *, style: str = "") -> str:
    attribute = f' style="{style}"' if style else ""
    return f"<p{attribute}>{html.escape(text).replace(chr(10), '<br>')}</p>"
