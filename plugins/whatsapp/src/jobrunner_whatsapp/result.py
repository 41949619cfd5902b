"""The result of a message: that WhatsApp accepted it, and under which id.

Pure data, as producers read it. Never says that a message was sent or read: only a webhook can tell.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Accepted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A message that WhatsApp accepted.

    Args:
        status: Always `accepted`; whether it is sent, delivered and read comes by webhook.
        message_id: WhatsApp's id of the message, `wamid....`, which those webhooks name.
        wa_id: The recipient's WhatsApp account, empty where WhatsApp did not tell.
        message_status: WhatsApp's own word where it gave one, such as `held_for_quality_assessment`.
        campaign_id: As in the payload, left out where it has none.
    """

    # Written always, though it has one value only: producers look for it.
    status: Literal["accepted"]
    message_id: str
    wa_id: str = ""
    message_status: str = ""
    campaign_id: str | None = None
