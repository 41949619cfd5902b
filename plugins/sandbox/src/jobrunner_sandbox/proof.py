"""Whether everything arrived exactly once: what was asked for, held against what is there.

By identity, not by number, so a thing that is missing cannot hide behind one that is there twice, nor one account's
behind another's. Knows names only; what they are of is the evidence's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TypeVar

import msgspec

K = TypeVar("K", bound=Hashable)


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of everything of one kind that was asked for."""

    expected: int
    once: int
    missing: list[str] = []
    twice: list[str] = []
    early: list[str] = []
    """There before the time that it was scheduled for."""
    wrong: list[str] = []
    """There, and not as it was asked for."""
    unknown: list[str] = []
    """There or not, an answer was lost and the job says so."""
    strangers: int = 0
    """Things that nobody asked for."""

    @property
    def holds(self) -> bool:
        """Whether everything arrived exactly once, in time and as asked, or is told to be unknown."""
        return not (self.missing or self.twice or self.early or self.wrong or self.strangers)


def compare(
    expected: Mapping[K, str],
    arrived: Iterable[K],
    *,
    unknown: Collection[K] = (),
    early: Collection[K] = (),
    wrong: Collection[K] = (),
) -> Finding:
    """Hold what was asked for against what arrived.

    Args:
        expected: What was asked for, with its name for people.
        arrived: What is there, as often as it is there.
        unknown: What a job says that nobody knows of; it may be missing, and must not be there twice.
        early: What was there too soon.
        wrong: What is there and is not as asked.
    """
    there = Counter(arrived)
    return Finding(
        expected=len(expected),
        once=sum(1 for key in expected if there[key] == 1),
        missing=sorted(name for key, name in expected.items() if not there[key] and key not in unknown),
        twice=sorted(name for key, name in expected.items() if there[key] > 1),
        early=sorted(name for key, name in expected.items() if key in early),
        wrong=sorted(name for key, name in expected.items() if key in wrong),
        unknown=sorted(name for key, name in expected.items() if key in unknown),
        strangers=sum(count for key, count in there.items() if key not in expected),
    )


def merged(findings: Iterable[Finding]) -> Finding:
    """Return one finding about everything of some."""
    every = list(findings)
    return Finding(
        expected=sum(one.expected for one in every),
        once=sum(one.once for one in every),
        missing=[name for one in every for name in one.missing],
        twice=[name for one in every for name in one.twice],
        early=[name for one in every for name in one.early],
        wrong=[name for one in every for name in one.wrong],
        unknown=[name for one in every for name in one.unknown],
        strangers=sum(one.strangers for one in every),
    )
