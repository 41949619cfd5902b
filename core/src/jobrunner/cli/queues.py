"""`jobrunner queues | stats | health | pause | resume | clear`."""

from __future__ import annotations

import click

from jobrunner.cli.output import json_option, print_json, print_table
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.cli.words import Word
from jobrunner.model import State
from jobrunner.wording import counted, span

CLEARABLE = [state.value for state in State if state is not State.ACTIVE]


@click.command(epilog="Examples:  jobrunner queues   |   jobrunner queues --json")
@json_option()
@pass_scene
@asynchronous
async def queues(scene: Scene, *, as_json: bool) -> int:
    """List the queues that a plugin here declares or that a worker has served."""
    async with scene.admin() as admin:
        stats = await admin.stats()
    if as_json:
        print_json(stats)
        return 0
    rows = [
        (
            one.name,
            one.plugin,
            one.priority,
            one.concurrency or "",
            one.workers,
            "paused" if one.paused else "",
            one.total,
        )
        for one in stats
    ]
    columns = ("queue", "plugin", "priority", "concurrency", "workers", "", "jobs")
    print_table(
        columns,
        rows,
        numbers=("priority", "concurrency", "workers", "jobs"),
        empty="there are no queues: install a plugin",
    )
    return 0


@click.command(epilog="Examples:  jobrunner stats   |   jobrunner stats publish.dispatch --json")
@click.argument("names", nargs=-1, metavar="[QUEUE]...")
@json_option()
@pass_scene
@asynchronous
async def stats(scene: Scene, *, names: tuple[str, ...], as_json: bool) -> int:
    """Show how many jobs of each queue are in each state, and how long the first in line has waited."""
    async with scene.admin() as admin:
        found = await admin.stats(names or None)
    if as_json:
        print_json(found)
        return 0
    columns = (
        "queue",
        "waiting",
        "delayed",
        "active",
        "completed",
        "failed",
        "cancelled",
        "parked",
        "oldest",
        "workers",
        "",
    )
    rows = [
        (
            *(
                one.name,
                one.waiting,
                one.delayed,
                one.active,
                one.completed,
                one.failed,
                one.cancelled,
                one.parked,
            ),
            *(span(one.oldest_waiting_ms), one.workers, "paused" if one.paused else ""),
        )
        for one in found
    ]
    print_table(columns, rows, numbers=columns[1:10], empty="there are no queues: install a plugin")
    return 0


@click.command(epilog="Examples:  jobrunner health   |   jobrunner health --json || page-somebody")
@json_option()
@pass_scene
@asynchronous
async def health(scene: Scene, *, as_json: bool) -> int:
    """Say whether the queues are healthy; exit 1 if one is degraded: jobs and no worker, or a long wait."""
    async with scene.admin() as admin:
        found = await admin.health()
    if as_json:
        print_json(found)
    else:
        colour = "green" if found.status == "healthy" else "yellow"
        click.echo(
            f"{click.style(found.status, fg=colour)}: {found.total_jobs:,} jobs, {found.active_jobs:,} active, {found.failed_jobs:,} failed"
        )
        for problem in found.problems:
            click.echo(f"  {problem}")
    return 0 if found.status == "healthy" else 1


TENANT = click.option(
    "--tenant", type=Word(), default=None, metavar="TENANT", help="Only the jobs of this tenant."
)


@click.command(epilog="Examples:  jobrunner pause publish.dispatch   |   ... --tenant acme")
@click.argument("queue")
@TENANT
@pass_scene
@asynchronous
async def pause(scene: Scene, *, queue: str, tenant: str | None) -> int:
    """Let no further job of QUEUE start. What runs goes on, and jobs can still be enqueued."""
    async with scene.admin() as admin:
        await admin.check_known(queue)
        await admin.pause(queue, tenant or "")
    whom = f"{tenant} in {queue}" if tenant else queue
    again = f"{queue} --tenant {tenant}" if tenant else queue
    click.echo(f"{whom} is paused; `jobrunner resume {again}` lets it go on")
    return 0


@click.command(epilog="Examples:  jobrunner resume publish.dispatch   |   ... --tenant acme")
@click.argument("queue")
@TENANT
@pass_scene
@asynchronous
async def resume(scene: Scene, *, queue: str, tenant: str | None) -> int:
    """Let a paused QUEUE go on, or a paused tenant in it."""
    async with scene.admin() as admin:
        await admin.check_known(queue)
        await admin.resume(queue, tenant or "")
    click.echo(f"{tenant} in {queue} goes on" if tenant else f"{queue} goes on")
    return 0


@click.command(
    epilog="Examples:  jobrunner clear publish.dispatch --status failed   |   jobrunner clear publish.dispatch --yes"
)
@click.argument("queue")
@click.option("--status", type=click.Choice(CLEARABLE), help="Only the jobs of this state.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option()
@pass_scene
@asynchronous
async def clear(scene: Scene, *, queue: str, status: str | None, yes: bool, as_json: bool) -> int:
    """Delete the jobs of QUEUE, or those of one state. A job that runs is never touched."""
    states = [State(status)] if status else [state for state in State if state is not State.ACTIVE]
    async with scene.admin() as admin:
        await admin.check_known(queue)
        (found,) = await admin.stats([queue])
        number = sum(int(getattr(found, state.value)) for state in states)
        what = f"{counted(number, (status + ' ' if status else '') + 'job')} of {queue}"
        if number and not yes and not click.confirm(f"Delete {what}?", err=True):
            raise click.Abort
        cleared = 0
        for state in states:
            async for gone in admin.clear(queue, state):
                cleared += gone
    if as_json:
        print_json({"cleared": cleared})
    else:
        click.echo(f"{counted(cleared, 'job')} of {queue} deleted")
    return 0
