"""The commands that make, change and remove schedules."""

from __future__ import annotations

import json
from pathlib import Path

import click

from jobrunner.cli.output import printable
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.wording import counted
from jobrunner_schedules.cli.opening import in_zone, opened, plugin_option, warn_of_nobody


@click.command(
    "set",
    epilog="""Examples:

    jobrunner schedules set nightly analytics.pull '{"tenantId": "acme"}' --cron "0 2 * * *" --timezone Europe/Berlin

    jobrunner schedules set heartbeat greeting.send '{"tenantId": "t1", "name": "Ada"}' --every 15m --overlap skip""",
)
@click.argument("name")
@click.argument("queue")
@click.argument("payload", default="{}", metavar="[JSON]")
@click.option(
    "--cron", default="", metavar="EXPRESSION", help="Minute, hour, day, month, day of week; or @daily ..."
)
@click.option("--every", default="", metavar="INTERVAL", help="30s, 15m, 6h, 1d, 1w; instead of --cron.")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Of --cron, such as Europe/Berlin."
)
@click.option(
    "--missed",
    type=click.Choice(["last", "all", "none"]),
    default="last",
    show_default=True,
    help="Slots to make up for, where nobody kept the schedule for a while.",
)
@click.option(
    "--overlap",
    type=click.Choice(["allow", "skip"]),
    default="allow",
    show_default=True,
    help="Whether a slot fires while an earlier one's job has not ended.",
)
@click.option(
    "--jitter",
    type=click.IntRange(0, 3600),
    default=0,
    metavar="SECONDS",
    help="Spread jobs after their slot.",
)
@click.option("--priority", type=click.IntRange(0, 100), help="The queue's by default.")
@click.option("--tenant", default="", help="Whose the jobs are, where the payload does not say.")
@plugin_option
@pass_scene
def set_(
    scene: Scene,
    *,
    name: str,
    queue: str,
    payload: str,
    plugin_names: tuple[str, ...],
    **fields: object,
) -> None:
    """Make or change the schedule NAME.

    Its jobs go to QUEUE, with JSON as their payload. A schedule that is there is replaced; it stays paused if it was, and if its times are the same, no slot is lost.
    """
    from jobrunner_schedules.schedule import schedule_of

    try:
        parsed = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"the payload is no JSON: {error}") from None
    schedule = schedule_of(name, {"queue": queue, "payload": parsed, **fields})
    with opened(scene, plugin_names) as (book, _):
        is_new = book.put(name, schedule)
        kept = book.get(name)
        following = "it is paused" if kept.paused else f"next at {in_zone(kept.next_at, kept.timezone)}"
        click.echo(f"{name}: {'made' if is_new else 'changed'}; {following}")
        warn_of_nobody(book, [kept])


@click.command(
    epilog="""Examples:

    jobrunner schedules apply schedules.toml

    jobrunner schedules apply schedules.toml --prune --dry-run"""
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--prune", is_flag=True, help="Remove the schedules that the file does not name.")
@click.option("--dry-run", is_flag=True, help="Check all, say what would be done, and change nothing.")
@plugin_option
@pass_scene
def apply(scene: Scene, *, file: Path, prune: bool, dry_run: bool, plugin_names: tuple[str, ...]) -> int:
    """Make or change every schedule of FILE.

    It is TOML, with a table a schedule. All are checked first, and nothing is changed where one is wrong. Applying the same file again changes nothing.
    """
    from jobrunner.errors import JobrunnerError
    from jobrunner_schedules.listed import read_file

    wanted, wrong = read_file(file)
    with opened(scene, plugin_names) as (book, _):
        problems = [f"  {printable(str(error))}" for error in wrong]
        for name, schedule in wanted.items():
            try:
                book.row_of(name, schedule)
            except JobrunnerError as error:
                problems.append(f"  schedule {name}: {printable(str(error))}")
        if problems:
            click.echo("\n".join([f"error: {file}: nothing was changed:", *problems]), err=True)
            return 2
        there = frozenset(book.names())
        leaving = sorted(there.difference(wanted)) if prune else []
        if leaving and not wanted:
            raise click.UsageError(
                f"{file} names no schedule, so --prune would remove all {len(there):,}; `jobrunner schedules remove` does that by name"
            )
        for name, schedule in wanted.items():
            if not dry_run:
                book.put(name, schedule)
            click.echo(f"{name}: {'set' if name in there else 'new'}")
        for name in leaving:
            if not dry_run:
                book.remove(name)
            click.echo(f"{printable(name)}: removed")
        done = f"{counted(len(wanted), 'schedule')} set, {len(leaving):,} removed"
        click.echo(f"nothing was changed; it would be {done}" if dry_run else done, err=True)
        if not dry_run:
            warn_of_nobody(book, book.all())
    return 0


@click.command(epilog="Example:  jobrunner schedules pause nightly")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_scene
def pause(scene: Scene, *, names: tuple[str, ...]) -> None:
    """Fire the schedules no more, until they are resumed. Jobs that they made run on."""
    with opened(scene) as (book, _):
        book.check_known(names)
        for name in names:
            book.pause(name)
            click.echo(f"{name}: paused")


@click.command(epilog="Example:  jobrunner schedules resume nightly")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_scene
def resume(scene: Scene, *, names: tuple[str, ...]) -> None:
    """Go on with the next slot. What fell into the pause is not made up for."""
    with opened(scene) as (book, _):
        book.check_known(names)
        for name in names:
            book.resume(name)
            kept = book.get(name)
            click.echo(f"{name}: next at {in_zone(kept.next_at, kept.timezone)}")


@click.command(epilog="Example:  jobrunner schedules remove nightly")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@pass_scene
def remove(scene: Scene, *, names: tuple[str, ...]) -> None:
    """Remove schedules. Jobs that they made stay."""
    with opened(scene) as (book, _):
        book.check_known(names)
        for name in names:
            book.remove(name)
            click.echo(f"{printable(name)}: removed")


@click.command(epilog="Example:  jobrunner schedules fire nightly")
@click.argument("name")
@plugin_option
@pass_scene
def fire(scene: Scene, *, name: str, plugin_names: tuple[str, ...]) -> int:
    """Enqueue a schedule's job now, apart from its slots.

    A paused one's too. The job has no slot, so the header `schedule-slot` is missing.
    """
    with opened(scene, plugin_names) as (book, _):
        job_id, is_new = book.fire(name)
        if not is_new:
            click.echo(
                f"{name}: nothing was enqueued, since {job_id} has not ended (overlap: skip)", err=True
            )
            return 1
        click.echo(job_id)
    return 0
