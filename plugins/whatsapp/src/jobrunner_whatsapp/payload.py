"""The payload of `whatsapp-messages`: one message to one person.

Says what is valid at enqueue, where the number is brought into one form. It has no tenant field: a job's tenant is
what the producer says beside the payload.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner_whatsapp.phone import normalise

WRITTEN_NUMBER = r"^[^0-9A-Za-z]*(\+|00)[^A-Za-z]+$"
"""For producers that know the JSON Schema alone: a country code is there. The rest is checked by workers."""

MOST_TEXT = 4096
"""Characters of a text message. Source: WhatsApp Cloud API, "Text messages"."""


class WhatsAppMessage(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Send one message.

    Args:
        to: The recipient's phone number with its country code; kept in E.164, such as `+4915123456789`.
        message: The text, 1 to 4,096 characters.
        campaign_id: What the message belongs to, 1 to 128 characters; on every log line and in the result.

    Raises:
        ValueError: The number is none, or there is no text.
    """

    to: Annotated[str, Meta(max_length=64, extra_json_schema={"pattern": WRITTEN_NUMBER})]
    message: Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]
    campaign_id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None

    def __post_init__(self) -> None:
        try:
            number = normalise(self.to)
        except ValueError as error:
            raise ValueError(f"to: {error}") from None
        # The struct is frozen for everybody else: what is stored, compared and sent is the one form.
        msgspec.structs.force_setattr(self, "to", number)
        if not self.message.strip():
            raise ValueError("message: it has nothing but blanks; give a text")
