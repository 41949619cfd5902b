"""A post's text: its three parts, how they stand together, and their bounds whoever wrote them.

Pure data. Knows no platform and no writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

Hashtag = Annotated[str, Meta(min_length=1, max_length=140, pattern=r"[^\s#]")]
# Line breaks and tabs may stand in a post; other control characters may not, and PostgreSQL stores no NUL.
Passage = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*(?![\s\S])"


class PostText(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a post says.

    Args:
        hook: The first line, 1 to 1,000 characters.
        body: The text below it, up to 20,000 characters.
        hashtags: At most 60, without `#`.
    """

    hook: Annotated[str, Meta(min_length=1, max_length=1000, pattern=Passage)]
    body: Annotated[str, Meta(max_length=20_000, pattern=Passage)]
    hashtags: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=140)], ...], Meta(max_length=60)]

    @property
    def whole(self) -> str:
        """The post as people see it: hook, body and hashtags with a blank line between them."""
        tags = " ".join(f"#{tag}" for tag in self.hashtags)
        return "\n\n".join(part for part in (self.hook, self.body, tags) if part)


def clean_hashtags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return hashtags as they are kept: without `#` and blanks, each once in any spelling, in their order."""
    kept: dict[str, str] = {}
    for tag in tags:
        bare = "".join(char for char in tag if char.isprintable() and not char.isspace() and char != "#")
        if bare:
            kept.setdefault(bare.lower(), bare)
    return tuple(kept.values())


def tidy(text: PostText) -> PostText:
    """Return a text without blanks around its parts, and with its hashtags as they are kept."""
    return PostText(
        hook=" ".join(text.hook.split()), body=text.body.strip(), hashtags=clean_hashtags(text.hashtags)
    )
