"""Whether every post arrived exactly once: what was enqueued, held against what the stand-ins received.

By identity, not by number: platform, account and first line, so a post that is missing cannot hide behind one that
is there twice, nor one account's behind another's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec

from jobrunner_sandbox.ledger import Published
from jobrunner_sandbox.service import account_of

EARLY_S = 0.05
"""Seconds that a post may seem to be before its time: the system's clock may be set a little in between."""


class Proof(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of every post that was asked for, as `post platform account`."""

    expected: int
    once: int
    missing: list[str]
    twice: list[str]
    early: list[str]
    """There before the time that it was scheduled for."""
    unknown: list[str]
    """There or not, an answer was lost and the job says so."""
    strangers: int
    """Posts that nobody asked for."""

    @property
    def holds(self) -> bool:
        """Whether every post arrived exactly once and not too early, or is told to be unknown."""
        return not (self.missing or self.twice or self.early or self.strangers)


class Entry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One account of a job."""

    platform: str
    account_id: str
    credentials: dict[str, object] = {}

    @property
    def account(self) -> str:
        """The account's name in the ledger."""
        match self.platform:
            case "x" | "mastodon":
                return account_of(str(self.credentials.get("accessToken", "")))
            case "linkedin":
                return f"urn:li:organization:{self.account_id}"
            case _:
                return self.account_id


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted; no two jobs have the same first line."""

    hook: str


class Asked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the proof reads of a payload of `publish.dispatch`."""

    post_id: str
    platforms: list[Entry]
    content: Content
    scheduled_time: datetime | None = None


def prove(
    jobs: Iterable[dict[str, object]], posts: Iterable[Published], unknown: Collection[tuple[str, str, str]]
) -> Proof:
    """Hold what was asked for against what arrived.

    Args:
        jobs: The payloads, each with a first line of its own.
        posts: What the stand-ins published.
        unknown: (post id, platform, account id) of which a job says that its answer was lost; empty where no answer
            was, so that nothing that is missing is excused.
    """
    names: dict[tuple[str, str, str], str] = {}
    due: dict[tuple[str, str, str], float] = {}
    excused: set[tuple[str, str, str]] = set()
    for job in jobs:
        asked = msgspec.convert(job, Asked)
        for entry in asked.platforms:
            key = (entry.platform, entry.account, asked.content.hook)
            names[key] = f"{asked.post_id} {entry.platform} {entry.account_id}"
            due[key] = asked.scheduled_time.timestamp() if asked.scheduled_time else 0.0
            if (asked.post_id, entry.platform, entry.account_id) in unknown:
                excused.add(key)
    arrived: Counter[tuple[str, str, str]] = Counter()
    early: set[tuple[str, str, str]] = set()
    strangers = 0
    for post in posts:
        key = (post.platform, post.account, post.text.partition("\n")[0])
        if key not in names:
            strangers += 1
            continue
        arrived[key] += 1
        if post.at < due[key] - EARLY_S:
            early.add(key)
    return Proof(
        expected=len(names),
        once=sum(1 for key in names if arrived[key] == 1),
        missing=sorted(name for key, name in names.items() if not arrived[key] and key not in excused),
        twice=sorted(name for key, name in names.items() if arrived[key] > 1),
        early=sorted(names[key] for key in early),
        unknown=sorted(names[key] for key in excused),
        strangers=strangers,
    )
