"""Looks at every job that is asked for, before anything is moved: which go over, which stay, which cannot. Changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from jobrunner_bullmq.drafts import Maker, Problem
from jobrunner_bullmq.source import PAGE, Listed, Source, Standing


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A job that can go over. Its data is not kept: a queue may hold more than fits here, and it is read again when taken."""

    listed: Listed
    size: int


class Survey:
    """What was found.

    Attributes:
        good: The jobs that can go over, by where they stand, in their order.
        found: How many jobs were looked at, by where they stand.
        stay: How many jobs are left to BullMQ: (where they stand, why) -> number.
        problems: What is wrong with the others; those alone are as many as there are.
        bad: How many have a problem, by where they stand.
    """

    def __init__(self) -> None:
        self.good: dict[Standing, list[Candidate]] = {}
        self.found: Counter[Standing] = Counter()
        self.stay: Counter[tuple[Standing, str]] = Counter()
        self.problems: list[Problem] = []
        self.bad: Counter[Standing] = Counter()

    @property
    def number(self) -> int:
        """How many jobs can go over."""
        return sum(map(len, self.good.values()))


def look(
    source: Source,
    maker: Maker,
    standings: Sequence[Standing],
    *,
    limit: int | None,
    progress: Callable[[int], None],
) -> Survey:
    """Look at all jobs that stand in one of the given places.

    Args:
        source: BullMQ's queue.
        maker: Tells what is wrong with a job.
        standings: Where to look.
        limit: How many jobs go over at the most; looking ends there.
        progress: Told how many more jobs were looked at.
    """
    survey = Survey()
    survey.good = {standing: [] for standing in Standing if standing in standings}
    for standing in survey.good:
        for page in _pages(source, standing):
            if limit is not None and survey.number >= limit:
                return survey
            _judge(source, maker, standing, page, survey, limit)
            progress(len(page))
    return survey


def _pages(source: Source, standing: Standing) -> Iterator[list[Listed]]:
    """The jobs that are in a list, each once: one that moves while it is listed may come again."""
    seen: set[bytes] = set()
    size = source.size(standing)
    for start in range(0, size, PAGE):
        fresh = [job for job in source.page(standing, start) if job.id not in seen]
        seen.update(job.id for job in fresh)
        if fresh:
            yield fresh


def _judge(
    source: Source,
    maker: Maker,
    standing: Standing,
    page: Sequence[Listed],
    survey: Survey,
    limit: int | None,
) -> None:
    good = survey.good[standing]
    by_id = {job.id: job for job in page}
    for seen in source.look(list(by_id)):
        if limit is not None and survey.number >= limit:
            return
        survey.found[standing] += 1
        why = maker.stays(seen)
        if why is not None:
            survey.stay[standing, why] += 1
            continue
        listed = by_id[seen.id]
        made = maker.make(msgspec.structs.replace(seen, score=listed.score), standing)
        if isinstance(made, Problem):
            survey.problems.append(made)
            survey.bad[standing] += 1
        else:
            good.append(Candidate(listed, seen.size))
