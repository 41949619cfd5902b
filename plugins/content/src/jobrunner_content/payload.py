"""The payloads of `content.generate.monthly` and `content.regen.single`.

Say what is valid at enqueue. Never know which writers are installed, nor what is in the post store.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jobrunner_content.text import Hashtag

MOST_POSTS = 200
"""Posts of one job: six a day and more; past that a month is better split, so that it can be watched and retried."""

# Control characters would break prompts, log lines and PostgreSQL, which stores no NUL. The last part is the end
# of the text in every dialect of regular expressions; `$` would let a line break through.
ONE_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*(?![\s\S])"

Id = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=ONE_LINE, description="one line without control characters"),
]
Tenant = Annotated[str, Meta(min_length=1, max_length=128)]
Platform = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=32,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*(?![\s\S])",
        description="a platform's name: letters, digits, . _ and -",
    ),
]
# May be empty, as a form's field that nobody filled in.
Tone = Annotated[
    str,
    Meta(
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]*(?![\s\S])",
        description="one line without control characters",
    ),
]
Topic = Annotated[
    str, Meta(max_length=200, pattern=ONE_LINE, description="one line without control characters")
]
Part = Literal["hook", "body", "hashtags", "full"]


class MonthlyPreferences(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """How a month of posts is to sound, and what it is about.

    Args:
        tone: In a few words, such as `friendly`; up to 100 characters.
        topics: At most 30, each up to 200 characters; the posts take turns with them.
        hashtags: At most 30 that every post carries where the platform has room, with or without `#`.
    """

    tone: Tone | None = None
    topics: Annotated[tuple[Topic, ...], Meta(max_length=30)] = ()
    hashtags: Annotated[tuple[Hashtag, ...], Meta(max_length=30)] = ()


class RegenPreferences(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """How the rewritten post is to sound.

    Args:
        tone: In a few words; without it the post's own is kept.
        style: The same for how it is written, such as `short sentences`.
    """

    tone: Tone | None = None
    style: Tone | None = None


class ContentGenerateMonthly(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Write a month of posts for a brand.

    Args:
        tenant_id: Whose posts they are.
        brand_id: The brand that they are for; 1 to 200 characters.
        month: 1 to 12.
        year: 2000 to 2100.
        content_count: How many posts in all, 1 to 200.
        platforms: 1 to 10 names, such as `instagram`, each once; upper and lower case are the same.
        preferences: How they are to sound, and what they are about.

    Raises:
        ValueError: A platform is named twice.
    """

    tenant_id: Tenant
    brand_id: Id
    month: Annotated[int, Meta(ge=1, le=12)]
    year: Annotated[int, Meta(ge=2000, le=2100)]
    content_count: Annotated[int, Meta(ge=1, le=MOST_POSTS)]
    platforms: Annotated[tuple[Platform, ...], Meta(min_length=1, max_length=10)]
    preferences: MonthlyPreferences | None = None

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for platform in self.platforms:
            if platform.lower() in seen:
                raise ValueError(f"platforms names {platform} twice: give it once")
            seen.add(platform.lower())


class ContentRegenSingle(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """Rewrite one post, or a part of it.

    Args:
        tenant_id: Whose post it is.
        post_id: The post.
        brand_id: The brand that it is for.
        platform: The platform that it is for; upper and lower case are the same.
        regeneration_type: `hook`, `body` or `hashtags`, which leave the rest as it is, or `full`.
        preferences: How it is to sound.
    """

    tenant_id: Tenant
    post_id: Id
    brand_id: Id
    platform: Platform
    regeneration_type: Part
    preferences: RegenPreferences | None = None
