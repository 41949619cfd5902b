"""What `jobrunner import bullmq` says in the end: a table for people, one object for programs."""

from __future__ import annotations

import click
import msgspec

from jobrunner.cli.output import print_json, print_table
from jobrunner.wording import counted
from jobrunner_bullmq.drafts import Problem
from jobrunner_bullmq.move import Tally
from jobrunner_bullmq.source import Counts, Standing
from jobrunner_bullmq.survey import Survey

MOST_REPORTED = 20
"""Problems that are told one by one; a queue of another kind has too many. `--json` has all."""

REASONS = {
    "name": ("of other names", "run it again with their --name and --to"),
    "scheduler": (
        "made by job schedulers",
        "let something else enqueue, such as cron; then remove the scheduler",
    ),
    "flow": ("of flows", "jobrunner has no parents that wait for children; let BullMQ finish them"),
    "locked": ("locked", "a worker holds them; run it again when it is done"),
    "missing": ("without a record", "BullMQ lists them and has no data of them"),
}
"""Why jobs that could have been moved by where they stand are left to BullMQ, and what to do."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the jobs of one state."""

    state: str
    found: int
    moved: int
    """In a dry run: would be moved."""

    known: int
    bad: int
    left: int
    gone: int


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole of it."""

    source: str
    queue: str
    dry_run: bool
    finished: int
    """Jobs that a run before this one took, and that this one finished; in a dry run those that it would."""

    states: list[Row]
    left: dict[str, int]
    active: int
    parents: int
    schedulers: int
    scheduler_names: list[str]
    problems: list[Problem]


def report(source: str, queue: str, counts: Counts, survey: Survey, tally: Tally | None) -> Report:
    """Put it together; without a tally nothing was moved."""
    rows = []
    for standing in Standing:
        if standing not in survey.good:
            continue
        left = sum(number for (where, _), number in survey.stay.items() if where is standing)
        bad = survey.bad[standing] + (tally.bad[standing] if tally else 0)
        rows.append(
            Row(
                state=str(standing),
                found=survey.found[standing],
                moved=tally.moved[standing] if tally else len(survey.good[standing]),
                known=tally.known[standing] if tally else 0,
                bad=bad,
                left=left,
                gone=tally.gone[standing] if tally else 0,
            )
        )
    reasons: dict[str, int] = {}
    for (_, why), number in survey.stay.items():
        reasons[why] = reasons.get(why, 0) + number
    return Report(
        source=source,
        queue=queue,
        dry_run=tally is None,
        finished=tally.finished if tally else counts.taken,
        states=rows,
        left=reasons,
        active=counts.active,
        parents=counts.parents,
        schedulers=counts.schedulers,
        scheduler_names=counts.scheduler_names,
        problems=[*survey.problems, *(tally.problems if tally else ())],
    )


def print_report(found: Report, *, as_json: bool) -> None:
    """Print it: the result on standard output, what is wrong with jobs on standard error."""
    if as_json:
        print_json(found)
        return
    print_problems(found.problems)
    verb = "would move" if found.dry_run else "moved"
    columns = ["state", "found", verb, "known", "bad", "left", "gone"]
    rows = [(row.state, row.found, row.moved, row.known, row.bad, row.left, row.gone) for row in found.states]
    print_table(columns, rows, numbers=columns[1:])
    if found.finished:
        would = "would finish" if found.dry_run else "finished"
        click.echo(f"{would} {counted(found.finished, 'job')} that a run before this one took")
    stays = [
        (what, number, hint) for why, (what, hint) in REASONS.items() if (number := found.left.get(why, 0))
    ]
    if found.active:
        stays.append(("active", found.active, "BullMQ's workers run them; run it again when they are done"))
    if found.parents:
        stays.append(("waiting for children", found.parents, REASONS["flow"][1]))
    if found.schedulers:
        more = ", ..." if found.schedulers > len(found.scheduler_names) else ""
        stays.append(("job schedulers", found.schedulers, ", ".join(found.scheduler_names) + more))
    if stays:
        click.echo()
        print_table(["stays in BullMQ", "number", ""], stays, numbers=["number"], folds="")


def print_problems(problems: list[Problem]) -> None:
    """Name the jobs that cannot go over, each on a line of standard error."""
    for problem in problems[:MOST_REPORTED]:
        click.echo(str(problem), err=True)
    if len(problems) > MOST_REPORTED:
        click.echo(f"... and {len(problems) - MOST_REPORTED:,} more; --json has them all", err=True)
