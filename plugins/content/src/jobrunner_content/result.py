"""The results of content jobs, as producers read them. Pure data."""

from __future__ import annotations

import msgspec

from jobrunner_content.payload import Part


class MonthlyResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a month whose posts are all written.

    Args:
        brand_id: The brand.
        year: The year.
        month: The month.
        count: How many posts.
        posts: Their ids by platform, in the order of their days, at most 200 in all.
    """

    brand_id: str
    year: int
    month: int
    count: int
    posts: dict[str, tuple[str, ...]]


class RegenResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The result of a rewriting.

    Args:
        post_id: The post.
        regenerated: The part that was rewritten.
        version: The post's version that this job made, from 2.
    """

    post_id: str
    regenerated: Part
    version: int
