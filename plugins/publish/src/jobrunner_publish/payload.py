"""The payload of `publish.dispatch`: one post, the accounts that it goes to, and when.

Says what is valid at enqueue. Never knows which platforms are installed: a producer need not have the
adapters, so an unknown platform's name is valid here and found by the worker.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from jobrunner import Secret

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Hashtag = Annotated[str, Meta(min_length=1, max_length=140)]
# The JSON Schema is written from the types, and `object` alone is none that it knows.
Credential = Annotated[object, Meta(extra_json_schema={"description": "Any JSON value."})]
# A scheme is the same in any case (RFC 3986, section 3.1), and the dialects of regular expressions that producers use have
# no common sign for that.
MediaUrl = Annotated[
    str,
    Meta(
        pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s]+$(?!\n)",
        max_length=2048,
        description="a web address, http:// or https://",
    ),
]


class PlatformAccount(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One account on one platform.

    Args:
        platform: The platform's name, such as `facebook`; upper and lower case are the same.
        account_id: The account on that platform, such as a page's id; 1 to 128 characters.
        credentials: What the platform's adapter needs, `accessToken` first of all. Masked wherever people look.
    """

    platform: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$(?!\n)",
            max_length=32,
            description="a platform's name: letters, digits, . _ and -",
        ),
    ]
    account_id: Annotated[str, Meta(min_length=1, max_length=128)]
    credentials: Annotated[dict[str, Credential], Secret]


class PostContent(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What the post says and shows.

    Args:
        hook: The first line, up to 5,000 characters.
        body: The text below it, up to 65,000 characters, more than any platform takes.
        hashtags: With or without `#`, at most 60.
        media_urls: Public http or https addresses of pictures, at most 10, in order.

    Raises:
        ValueError: There is neither text nor media.
    """

    hook: Annotated[str, Meta(max_length=5000)]
    body: Annotated[str, Meta(max_length=65_000)]
    hashtags: Annotated[tuple[Hashtag, ...], Meta(max_length=60)]
    media_urls: Annotated[tuple[MediaUrl, ...], Meta(max_length=10)] = ()

    def __post_init__(self) -> None:
        if not (self.hook.strip() or self.body.strip() or self.media_urls):
            raise ValueError("the post is empty: give a hook, a body or mediaUrls")


class PublishDispatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Publish one post to one or more accounts.

    Args:
        tenant_id: Whose post it is.
        post_id: The post's id in the producer's system.
        schedule_id: The schedule that it belongs to.
        platforms: 1 to 20 accounts, each once.
        content: What the post says and shows.
        scheduled_time: When it is due, with a zone; the job does not start before.

    Raises:
        ValueError: An account is named twice.
    """

    tenant_id: Annotated[str, Meta(min_length=1, max_length=128)]
    post_id: Id
    schedule_id: Id
    platforms: Annotated[tuple[PlatformAccount, ...], Meta(min_length=1, max_length=20)]
    content: PostContent
    scheduled_time: Annotated[datetime, Meta(tz=True)]

    def __post_init__(self) -> None:
        seen: set[tuple[str, str]] = set()
        for entry in self.platforms:
            key = (entry.platform.lower(), entry.account_id)
            if key in seen:
                raise ValueError(f"platforms names {entry.platform} {entry.account_id} twice: give it once")
            seen.add(key)
