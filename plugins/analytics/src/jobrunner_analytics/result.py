"""The result of an analytics job: what came of each account, and rows by platform.

Pure data, as producers read it. The figures themselves are in the table `metrics`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Pull(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What came of one account.

    Args:
        platform: The platform's name.
        account_id: The account, empty where there is none for this tenant and brand.
        status: `pulled`, or `failed` for good.
        posts: Posts that had figures.
        rows: Rows that were written.
        unsupported: Metrics that the platform does not have.
        missing: Posts that were asked for by their ids and of which nothing came, at most 20 of them.
        missing_count: All of these.
        truncated: Whether there were more pages than the settings allow.
        reason: Why it failed.
    """

    platform: str
    account_id: str = ""
    status: Literal["pulled", "failed"]
    posts: int = 0
    rows: int = 0
    unsupported: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    missing_count: int = 0
    truncated: bool = False
    reason: str = ""


class PullResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The result of a job that pulled from one account at least.

    Args:
        rows: Platform to rows that were written, for every platform of the payload.
        pulls: What came of each account, in the payload's order of platforms.
        failed: The platforms of which an account failed.
        unknown_post_ids: Ids that look like no asked platform's, at most 20 of them.
    """

    rows: dict[str, int]
    pulls: tuple[Pull, ...]
    failed: tuple[str, ...] = ()
    unknown_post_ids: tuple[str, ...] = ()
