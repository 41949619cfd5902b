"""What a writer is: whoever turns a brief into a post's text.

The one interface between the jobs and what writes for them. Knows neither queues nor the post store.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Protocol

import msgspec

from jobrunner_content.limits import Limits
from jobrunner_content.payload import Part
from jobrunner_content.settings import ContentSettings
from jobrunner_content.text import PostText


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written.

    Args:
        tenant_id: Whose post it is.
        brand_id: The brand that it is for.
        post_id: The post's id.
        platform: The platform, in lower case.
        limits: What the platform takes; a text that does not fit is not kept.
        day: The day that it is for.
        number: Which of a month's posts it is, from 1.
        tone: How it is to sound, in a few words; empty if nobody says.
        topic: What it is about; empty likewise.
        style: How it is to be written; empty likewise.
        hashtags: Hashtags to carry, without `#`, where there is room.
        part: Which part of the answer is used; the others are left as they are.
        former: The text as it is, of a post that is rewritten.
        edition: Tells one rewriting of a post from the next; empty for a new post.
    """

    tenant_id: str
    brand_id: str
    post_id: str
    platform: str
    limits: Limits
    day: date
    number: int
    tone: str = ""
    topic: str = ""
    style: str = ""
    hashtags: tuple[str, ...] = ()
    part: Part = "full"
    former: PostText | None = None
    edition: str = ""


class Writer(Protocol):
    """Writes texts; used by several jobs at once, on the worker's event loop."""

    async def write(self, brief: Brief) -> PostText:
        """Write a text, or rewrite one.

        Args:
            brief: What is to be written.

        Returns:
            The whole text, also where one part of it is used.

        Raises:
            TransientError: Not this time; the post is tried again.
            RefusedError: This text, never.
            UnusableError: No text at all until somebody changes something.
        """
        ...


OpenWriter = Callable[[ContentSettings], AbstractAsyncContextManager[Writer]]
"""What an entry point of the group `jobrunner_content.writers` names: opens the writer for as long as a worker runs."""
