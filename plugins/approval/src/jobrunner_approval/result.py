"""The result of an approval job: who was reached and how, and who was not and why.

Pure data, as producers read it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Channel = Literal["email", "whatsapp"]


class Notice(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What became of one approver on one channel.

    Args:
        approver_id: The approver.
        channel: `email` or `whatsapp`; left out for an approver who is not in the table.
        status: `emailed`: the mail server took the mail; `enqueued`: a WhatsApp job was enqueued; `failed`: refused
            for good; `unknown`: the mail was handed over and the answer lost; `no_address`: the table has none for
            this channel; `unknown_approver`: the tenant has no such approver.
        message_id: The mail's Message-ID.
        job_id: The job in `whatsapp-messages`.
        reason: Why, where they were not reached.
    """

    approver_id: str
    channel: Channel | None = None
    status: Literal["emailed", "enqueued", "failed", "unknown", "no_address", "unknown_approver"]
    message_id: str = ""
    job_id: str = ""
    reason: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether the notice is on its way."""
        return self.status in ("emailed", "enqueued")


class NotifyResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a job that reached somebody.

    Args:
        post_id: The post's id in the producer's system.
        notices: What became of each approver, in the payload's order, mail before WhatsApp.
    """

    post_id: str
    notices: tuple[Notice, ...]
