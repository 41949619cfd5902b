"""The result of a publish job: what became of each account.

Pure data, as producers read it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What became of one account.

    Args:
        platform: The platform's name.
        account_id: The account.
        status: `posted`; `already_posted`: found to be there, by an earlier attempt or another post; `failed`:
            the platform refused it for good; `unknown`: an answer was lost and nothing tells.
        post_id: The platform's id of the post, where it told.
        url: Where people see it, where the platform told.
        reason: Why it failed or is unknown, or how it came to be there already.
    """

    platform: str
    account_id: str
    status: Literal["posted", "already_posted", "failed", "unknown"]
    post_id: str = ""
    url: str = ""
    reason: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the post is on the platform."""
        return self.status in ("posted", "already_posted")


class DispatchResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a job whose accounts are all served.

    Args:
        post_id: The post's id in the producer's system.
        platforms: What became of each account, in the payload's order.
    """

    post_id: str
    platforms: tuple[Delivery, ...]
