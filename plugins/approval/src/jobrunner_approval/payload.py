"""The payload of `approval.notify`: which post, who is asked, and how.

Says what is valid at enqueue. Never knows who the approvers are: their addresses are in the plugin's own table, which
workers look into.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$(?!\n)"
"""No control characters: ids go into a mail's headers, and into names that are printed."""

Id = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=ONE_LINE, description="one line without control characters"),
]
ApproverId = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=ONE_LINE, description="one line without control characters"),
]

MOST_MESSAGE = 2000
"""Characters of the message: half of what a WhatsApp message takes, which leaves room for what stands around it."""


class ApprovalNotify(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Ask approvers for their word on a post.

    Args:
        tenant_id: Whose post it is; approvers are looked up among this tenant's.
        post_id: The post's id in the producer's system.
        brand_id: The brand that it belongs to.
        approver_ids: 1 to 100 approvers, each once.
        notification_type: `email`, `whatsapp` or `both`.
        due_date: Until when their word is needed; with a zone or without.
        message: What the producer wants to tell them, up to 2,000 characters.

    Raises:
        ValueError: An approver is named twice.
    """

    tenant_id: Annotated[str, Meta(min_length=1, max_length=128)]
    post_id: Id
    brand_id: Id
    approver_ids: Annotated[tuple[ApproverId, ...], Meta(min_length=1, max_length=100)]
    notification_type: Literal["email", "whatsapp", "both"]
    due_date: datetime | None = None
    message: Annotated[str, Meta(max_length=MOST_MESSAGE)] | None = None

    def __post_init__(self) -> None:
        twice = [one for one, count in Counter(self.approver_ids).items() if count > 1]
        if twice:
            raise ValueError(f"approverIds: {twice[0]} is named twice; give each approver once")
