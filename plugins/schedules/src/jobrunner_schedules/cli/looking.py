"""The commands that show schedules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

import click

from jobrunner.cli.output import json_option, print_facts, print_json, print_table, when
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.wording import span
from jobrunner_schedules.cli.opening import in_zone, opened, plugin_option, warn_of_nobody

if TYPE_CHECKING:  # help must not wait for them
    from jobrunner_schedules.book import Kept
    from jobrunner_schedules.plan import Plan


@click.command("list", epilog="Example:  jobrunner schedules list --json")
@json_option()
@plugin_option
@pass_scene
def list_(scene: Scene, *, plugin_names: tuple[str, ...], as_json: bool) -> None:
    """List all schedules, with the next slot and the last job of each."""
    with opened(scene, plugin_names) as (book, _):
        found = book.all()
        if as_json:
            print_json(found)
            return
        now = book.now_ms()
        rows = [
            (
                one.name,
                one.queue,
                _times(one),
                _next(one, now),
                when(one.last_at),
                one.last_job,
                _trouble(one),
            )
            for one in found
        ]
        columns = ("schedule", "queue", "when", "next", "last", "job", "note")
        print_table(
            columns, rows, folds="note", empty="there is no schedule; `jobrunner schedules set` makes one"
        )
        warn_of_nobody(book, found)


@click.command(epilog="Example:  jobrunner schedules show nightly --next 10")
@click.argument("name")
@click.option(
    "--next", "number", type=click.IntRange(0, 1000), default=5, show_default=True, help="Slots to show."
)
@json_option()
@plugin_option
@pass_scene
def show(scene: Scene, *, name: str, number: int, plugin_names: tuple[str, ...], as_json: bool) -> None:
    """Show the schedule NAME, and when it fires next."""
    import msgspec

    from jobrunner_schedules.plan import Plan

    with opened(scene, plugin_names) as (book, _):
        one = book.get(name)
        slots = _upcoming(Plan(one.cron, one.every, one.timezone), one, number)
        if as_json:
            print_json({**msgspec.to_builtins(one), "nextSlots": slots})
            return
        print_facts(
            [
                ("schedule", one.name),
                ("queue", one.queue),
                ("payload", json.dumps(one.payload, ensure_ascii=False)),
                ("when", _times(one)),
                ("missed", one.missed),
                ("overlap", one.overlap),
                *([("jitter", f"{one.jitter} s")] if one.jitter else []),
                *([("priority", one.priority)] if one.priority is not None else []),
                *([("tenant", one.tenant)] if one.tenant else []),
                *([("last", f"{in_zone(one.last_at, one.timezone)}, {_last(one)}")] if one.last_at else []),
                *([("paused", "yes: `jobrunner schedules resume` goes on")] if one.paused else []),
                *([("error", one.error)] if one.error else []),
                *[("" if at else "next", in_zone(slot, one.timezone)) for at, slot in enumerate(slots)],
            ]
        )
        warn_of_nobody(book, [one])


@click.command(epilog='Example:  jobrunner schedules preview "30 2 * * *" --timezone Europe/Berlin')
@click.argument("times")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE")
@click.option(
    "--next", "number", type=click.IntRange(1, 1000), default=5, show_default=True, help="Slots to show."
)
@click.option(
    "--after", "start", metavar="TIME", help="From then on, such as 2027-03-27T12:00; now by default."
)
@json_option()
def preview(*, times: str, timezone: str, number: int, start: str | None, as_json: bool) -> None:
    """Show when TIMES would fire.

    It is a cron expression, or an interval such as 15m. No store is needed.
    """
    import time

    from jobrunner_schedules.plan import LAST_MS, Plan, zone

    is_interval = len(times.split()) == 1 and not times.startswith("@")
    plan = Plan("" if is_interval else times, times if is_interval else "", timezone)
    moment = int(time.time() * 1000)
    if start is not None:
        try:
            given = datetime.fromisoformat(start)
            given = given if given.tzinfo else given.replace(tzinfo=zone(timezone))
            moment = int(given.timestamp() * 1000)
        except (ValueError, OverflowError):
            raise click.UsageError(f"--after: {start!r} is no time; such as 2027-03-27T12:00") from None
        if not 0 <= moment < LAST_MS:
            raise click.UsageError(f"--after: {start!r} is not between 1970 and 9998")
    slots = list(islice(_after(plan, moment), number))
    if as_json:
        print_json(slots)
        return
    for slot in slots:
        click.echo(in_zone(slot, timezone))


def _times(one: Kept) -> str:
    if one.every:
        return f"every {one.every}"
    return one.cron if one.timezone == "UTC" else f"{one.cron} {one.timezone}"


def _next(one: Kept, now: int) -> str:
    if one.paused:
        return "paused"
    if one.next_at is None:
        return "never"
    return when(one.next_at) if one.next_at > now else f"{span(now - one.next_at)} late"


def _last(one: Kept) -> str:
    return f"skipped, since {one.last_job} had not ended" if one.skipped else f"job {one.last_job}"


def _trouble(one: Kept) -> str:
    return one.error or ("skipped: that job had not ended" if one.skipped else "")


def _upcoming(plan: Plan, one: Kept, number: int) -> list[int]:
    if one.next_at is None:
        return []
    return list(islice(_after(plan, one.next_at - 1), number))


def _after(plan: Plan, moment: int) -> Iterator[int]:
    """The slots after a moment, without an end."""
    return plan.slots(moment + 1, 1 << 53)
