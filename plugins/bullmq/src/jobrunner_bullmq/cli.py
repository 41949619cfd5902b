"""`jobrunner import bullmq`: what is asked for, in which order it is done, and how it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click

from jobrunner.cli.output import json_option
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.cli.seconds import Seconds
from jobrunner.names import check_tenant
from jobrunner.store.address import parse_url
from jobrunner.store.connect import open_sync_store
from jobrunner.sync_client import SyncClient
from jobrunner.wording import counted
from jobrunner_bullmq.drafts import Maker
from jobrunner_bullmq.move import Mover, Tally, Target
from jobrunner_bullmq.report import print_problems, print_report, report
from jobrunner_bullmq.source import Counts, Source, Standing
from jobrunner_bullmq.survey import Survey, look

USUAL = ("waiting", "paused", "prioritized", "delayed")
"""What is moved where nobody says otherwise: whatever BullMQ would still start by itself."""

URL = "BULLMQ_URL"
"""The environment variable that --from is taken from, so that no password need be on a command line."""

RETRY_S = 10.0
"""Seconds for which jobs are sent again while the store is away, as in `jobrunner enqueue`."""

LINES_EVERY = 10_000
"""Jobs after which a line is written where there is no terminal to show a bar at."""


@click.group(name="import", context_settings={"help_option_names": ["-h", "--help"]})
def import_() -> None:
    """Move jobs of another job system over."""


@import_.command(
    epilog="""Examples:

    jobrunner import bullmq mail --name welcome --to mail.welcome --dry-run

    jobrunner import bullmq mail --name welcome --to mail.welcome

    jobrunner import bullmq mail --from redis://old:6379/0 --state failed --limit 100"""
)
@click.argument("source", metavar="QUEUE")
@click.option("--to", "target", metavar="QUEUE", help="The queue of jobrunner; the same name by default.")
@click.option(
    "--name", "names", multiple=True, metavar="NAME", help="Move jobs of this name only; may be repeated."
)
@click.option(
    "--from",
    "url",
    envvar=URL,
    metavar="URL",
    help=f"The Redis that BullMQ uses, or {URL}; jobrunner's own by default.",
)
@click.option("--from-prefix", default="bull", show_default=True, help="What BullMQ's keys begin with.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([*USUAL, "failed"]),
    help="Which jobs; may be repeated. All but the failed ones by default, which would run again.",
)
@click.option("--tenant", help="Whose jobs they are, where the payload does not say.")
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Move N jobs at the most, the first in line."
)
@click.option("--dry-run", is_flag=True, help="Look at all, say what would be moved, and change nothing.")
@click.option("--partial", is_flag=True, help="Move the good ones where some jobs cannot be moved.")
@click.option("--wait", type=Seconds(0, 86_400), help="Seconds to wait for room where the queue is full.")
@click.option(
    "--plugin",
    "plugin_names",
    multiple=True,
    metavar="NAME",
    help="A plugin that declares the queue, as in run.",
)
@json_option()
@pass_scene
def bullmq(
    scene: Scene,
    *,
    source: str,
    target: str | None,
    names: tuple[str, ...],
    url: str | None,
    from_prefix: str,
    states: tuple[str, ...],
    tenant: str | None,
    limit: int | None,
    dry_run: bool,
    partial: bool,
    wait: float | None,
    plugin_names: tuple[str, ...],
    as_json: bool,
) -> int:
    """Move the jobs of BullMQ's QUEUE over: out of BullMQ, and into a queue of jobrunner.

    All jobs are looked at first: one whose data is no payload of the queue is named with its id and field, and nothing is
    moved unless --partial. A job goes to one side only, even while BullMQ's workers run; a run that was interrupted is
    finished by the next. Jobs that are active, of flows, or made by job schedulers stay, and are counted.
    """
    for what, text in (("QUEUE", source), ("--from-prefix", from_prefix)):
        if not text.isprintable() or not text:
            raise click.UsageError(f"{what} {text!a} is not printable text")
    target, address, prefix = target or source, scene.address, scene.settings.prefix
    where = Target(queue=target, store=address.masked(), prefix=prefix, tenant=check_tenant(tenant or ""))
    client = SyncClient(open_sync_store(address, prefix), scene.plugins(plugin_names), retry_for=RETRY_S)
    with client:
        client.learn(target)
        theirs = Source(parse_url(url, variable=f"--from or {URL}") if url else address, from_prefix, source)
        with contextlib.closing(theirs):
            maker = Maker(client, target, prefix=from_prefix, queue=source, tenant=tenant, names=names)
            counts, survey = _surveyed(
                theirs, maker, [Standing(one) for one in states or USUAL], limit, quiet=as_json
            )
            label = f"{from_prefix}:{source}"
            if dry_run:
                print_report(report(label, target, counts, survey, None), as_json=as_json)
                return 1 if survey.problems else 0
            if survey.problems and not partial:
                return _refused(survey)
            tally = _moved(theirs, maker, where, survey, wait=wait, quiet=as_json)
            print_report(report(label, target, counts, survey, tally), as_json=as_json)
            return 1 if survey.problems or tally.problems else 0


def _surveyed(
    source: Source, maker: Maker, standings: list[Standing], limit: int | None, *, quiet: bool
) -> tuple[Counts, Survey]:
    counts = source.counts()
    if not counts.there:
        raise click.UsageError(
            f"there is no BullMQ queue {source.queue!r} under the prefix {source.prefix!r} in {source.where}; "
            "check the name, --from-prefix and --from"
        )
    with _progress("looking at", sum(map(source.size, standings)), quiet=quiet) as progress:
        return counts, look(source, maker, standings, limit=limit, progress=progress)


def _refused(survey: Survey) -> int:
    print_problems(survey.problems)
    click.echo(
        f"error: {len(survey.problems):,} of {len(survey.problems) + survey.number:,} jobs cannot be moved; "
        "nothing was moved (--partial moves the others)",
        err=True,
    )
    return 2


def _moved(
    source: Source, maker: Maker, target: Target, survey: Survey, *, wait: float | None, quiet: bool
) -> Tally:
    with _progress("moving", survey.number, quiet=quiet) as progress:
        mover = Mover(source, maker, target, wait=wait, progress=progress)
        unfinished = mover.unfinished()
        try:
            mover.finish(unfinished)
            mover.move(survey)
        except BaseException:
            tally = mover.tally
            moved = tally.moved.total() + tally.known.total() + tally.finished
            click.echo(
                f"\nstopped: {counted(moved, 'job')} went over; running it again goes on from there and doubles nothing",
                err=True,
            )
            raise
    return mover.tally


@contextlib.contextmanager
def _progress(verb: str, number: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar at a terminal, a line now and then elsewhere; on standard error."""
    if sys.stderr.isatty() or quiet:
        with click.progressbar(length=number, label=verb, file=sys.stderr, hidden=quiet or not number) as bar:
            yield bar.update
        return
    click.echo(f"{verb} {counted(number, 'job')}", err=True)
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        if done // LINES_EVERY != (done + more) // LINES_EVERY:
            click.echo(f"{verb}: {done + more:,} of {number:,} jobs", err=True)
        done += more

    yield tell
