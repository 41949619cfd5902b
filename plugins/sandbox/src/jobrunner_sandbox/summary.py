"""What happened in a demo: in numbers for programs, in a table and a sentence for people.

Counts what others found out. Looks at nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from jobrunner.views import JobView
from jobrunner_sandbox.cast import Company
from jobrunner_sandbox.proof import Finding, merged


class QueueSum(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of the jobs of one queue."""

    jobs: int
    completed: int
    failed: int
    attempts: int
    retries: int


class TenantSum(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How long one tenant's story took."""

    posts: int
    seconds: float


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What happened."""

    jobs: int
    completed: int
    failed: int
    attempts: int
    retries: int
    seconds: float
    jobs_per_second: float
    queues: dict[str, QueueSum]
    tenants: dict[str, TenantSum]
    posts: dict[str, int]
    """Platform -> posts that are there."""
    proof: dict[str, Finding]
    """Kind -> what became of everything of it."""

    @property
    def holds(self) -> bool:
        """Whether everything arrived as it should, and there was something."""
        return bool(self.proof) and all(finding.holds for finding in self.proof.values())


def sum_up(
    *,
    ended: Mapping[tuple[str, str], JobView],
    queues: Sequence[str],
    seconds: float,
    through: Mapping[str, float],
    companies: Sequence[Company],
    posts: Mapping[str, int],
    proof: dict[str, Finding],
) -> Summary:
    """Count.

    Args:
        ended: The jobs, by queue and id.
        queues: In the order in which they are shown.
        seconds: How long all took.
        through: Tenant -> after how many seconds its story had ended.
        companies: Who is in it.
        posts: Platform -> posts that are there.
        proof: Kind -> what became of everything of it.
    """
    by_queue = {queue: _of([view for (name, _), view in ended.items() if name == queue]) for queue in queues}
    every = by_queue.values()
    return Summary(
        jobs=len(ended),
        completed=sum(one.completed for one in every),
        failed=sum(one.failed for one in every),
        attempts=sum(one.attempts for one in every),
        retries=sum(one.retries for one in every),
        seconds=round(seconds, 2),
        jobs_per_second=round(len(ended) / seconds, 1),
        queues=by_queue,
        tenants={
            company.tenant: TenantSum(
                posts=company.posts, seconds=round(through.get(company.tenant, seconds), 2)
            )
            for company in companies
        },
        posts=dict(sorted(posts.items())),
        proof=proof,
    )


def _of(views: list[JobView]) -> QueueSum:
    attempts = sum(view.runs for view in views)
    completed = sum(1 for view in views if view.state == "completed")
    return QueueSum(
        jobs=len(views),
        completed=completed,
        failed=len(views) - completed,
        attempts=attempts,
        retries=attempts - len(views),
    )


def verdict(summary: Summary) -> tuple[bool, str]:
    """Say in a sentence whether everything is as it should be, and what is not."""
    every = merged(summary.proof.values())
    parts = [f"{every.once:,} of {every.expected:,} effects arrived exactly once"]
    for kind, finding in summary.proof.items():
        for what, names in (
            ("unknown, since an answer was lost", finding.unknown),
            ("missing", finding.missing),
            ("more than once", finding.twice),
            ("before their time", finding.early),
            ("not as asked", finding.wrong),
        ):
            if names:
                parts.append(f"{kind}: {len(names)} {what}: {', '.join(names[:3])}")
        if finding.strangers:
            parts.append(f"{kind}: {finding.strangers} never asked for")
    return summary.holds, "; ".join(parts)
