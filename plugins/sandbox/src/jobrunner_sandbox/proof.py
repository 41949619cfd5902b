"""Whether every post arrived exactly once: what was enqueued, held against what the stand-ins received.

By identity, not by number: each job's text is its own, so a post that is missing cannot hide behind one that is
there twice.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from jobrunner_sandbox.ledger import Published


class Proof(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of every post that was asked for, as `post platform`."""

    expected: int
    once: int
    missing: list[str]
    twice: list[str]
    unknown: list[str]
    """Missing or not, an answer was lost and the job says so."""
    strangers: int
    """Posts that nobody asked for."""

    @property
    def holds(self) -> bool:
        """Whether every post arrived exactly once, or is told to be unknown."""
        return not (self.missing or self.twice or self.strangers)


def prove(jobs: list[dict[str, object]], posts: list[Published], unknown: set[tuple[str, str]]) -> Proof:
    """Hold what was asked for against what arrived.

    Args:
        jobs: The payloads, each with a hook of its own.
        posts: What the stand-ins published.
        unknown: (post id, platform) of which a job says that its answer was lost.
    """
    expected: dict[tuple[str, str], str] = {}
    for job in jobs:
        hook = str(job["content"]["hook"])  # type: ignore[index]  # a payload of publish.dispatch
        for entry in job["platforms"]:  # type: ignore[attr-defined]  # as above
            expected[str(job["postId"]), str(entry["platform"])] = hook
    arrived: Counter[tuple[str, str]] = Counter()
    strangers = 0
    by_text = {(platform, hook): key for key, hook in expected.items() for platform in (key[1],)}
    for post in posts:
        key = next(
            (
                found
                for (platform, hook), found in by_text.items()
                if platform == post.platform and hook in post.text
            ),
            None,
        )
        if key is None:
            strangers += 1
        else:
            arrived[key] += 1
    names = {key: f"{key[0]} {key[1]}" for key in expected}
    return Proof(
        expected=len(expected),
        once=sum(1 for key in expected if arrived[key] == 1),
        missing=sorted(names[key] for key in expected if not arrived[key] and key not in unknown),
        twice=sorted(names[key] for key in expected if arrived[key] > 1),
        unknown=sorted(names[key] for key in expected if key in unknown),
        strangers=strangers,
    )
