"""`jobrunner jobs`: look at jobs, and move them by hand."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import click

from jobrunner.admin import Admin
from jobrunner.cli.output import json_option, print_facts, print_json, print_table, printable, when
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.errors import JobNotFoundError
from jobrunner.explanation import Explanation
from jobrunner.explanation import explain as explained
from jobrunner.model import State
from jobrunner.views import Happening
from jobrunner.wording import counted, span

STATES = [state.value for state in State]


@click.group()
def jobs() -> None:
    """Look at jobs, and move them by hand."""


@jobs.command(
    "list",
    epilog="Examples:  jobrunner jobs list publish.dispatch --state failed   |   ... --limit 10 --json",
)
@click.argument("queue")
@click.option("--state", type=click.Choice(STATES), default="waiting", show_default=True)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--skip", type=click.IntRange(0), default=0, help="Leave out so many first.")
@click.option(
    "--after", metavar="CURSOR", default="", help="Go on after the page that ended with this cursor."
)
@json_option()
@pass_scene
@asynchronous
async def list_(
    scene: Scene, *, queue: str, state: str, limit: int, skip: int, after: str, as_json: bool
) -> int:
    """List the jobs of a state: those that wait in the order they will run, the others newest first.

    A page that is full tells on standard error how to go on; with --json each job has its cursor.
    """
    async with scene.admin() as admin:
        await admin.check_known(queue)
        found = await admin.page(queue, State(state), start=skip, limit=limit, after=after)
        if not found and not as_json:
            further = skip > 0 or bool(after)
            click.echo(
                f"{queue} has no further {state} job" if further else await _none(admin, queue, state),
                err=True,
            )
            return 0
    if len(found) == limit:
        click.echo(f"there may be more: --after {found[-1].cursor}", err=True)
    if as_json:
        print_json(found)
        return 0
    label = {"delayed": "due", "active": "lease until", "waiting": ""}.get(
        state, "since" if state == "parked" else "ended"
    )
    rows = [
        (
            one.id,
            one.tenant,
            one.priority,
            one.attempt or "",
            when(one.enqueued_at),
            when(one.score_at),
            one.reason if state == "parked" else one.last_error,
        )
        for one in found
    ]
    story = "held back, since" if state == "parked" else "last error"
    columns = ("id", "tenant", "priority", "attempt", "enqueued", label, story)
    print_table(columns, rows, numbers=("priority", "attempt"), folds=story)
    return 0


async def _none(admin: Admin, queue: str, state: str) -> str:
    """That there is no job of a state, and of which others there are some, with the options that show them."""
    (numbers,) = await admin.stats([queue])
    others = [(name, number) for name in STATES if name != state and (number := getattr(numbers, name))]
    if not others:
        return f"{queue} has no {state} job"
    *first, last = [f"{number:,} {name}" for name, number in others]
    told = f"{', '.join(first)} and {last}" if first else last
    options = ", ".join(f"--state {name}" for name, _ in others)
    return f"{queue} has no {state} job, but {told}: {options}"


@jobs.command(epilog="Examples:  jobrunner jobs show publish.dispatch ID   |   ... --json")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@click.option(
    "--reveal",
    is_flag=True,
    help="Show a payload that is hidden whole, since no plugin here tells what in it is secret.",
)
@json_option()
@pass_scene
@asynchronous
async def show(scene: Scene, *, queue: str, job_id: str, reveal: bool, as_json: bool) -> int:
    """Show everything that may be seen of one job; secrets are masked."""
    async with scene.admin() as admin, _known(admin, queue):
        job = await admin.job(queue, job_id, reveal=reveal)
    if as_json:
        print_json(job)
        return 0
    facts = [
        ("state", job.state),
        ("tenant", job.tenant),
        ("priority", job.priority),
        ("attempt", job.attempt),
        ("runs", job.runs),
        ("crashes", job.crashes or None),
        ("enqueued", when(job.enqueued_at)),
        ("due", when(job.due_at)),
        ("lease until", when(job.lease_until)),
        ("worker", job.worker),
        ("to stop", job.cancel_reason),
        ("held back", job.reason),
        ("ended", when(job.ended_at)),
        ("progress", None if job.progress is None else f"{job.progress:.0%} {job.progress_message}"),
        ("headers", job.headers or None),
        ("payload", _json(job.payload)),
        ("result", None if job.result is None else _json(job.result)),
        *[("step " + name, _json(value)) for name, value in job.steps.items()],
    ]
    click.echo(f"{job.queue} {job.id}")
    print_facts([(name, value) for name, value in facts if value not in (None, "")])
    for one in job.history:
        click.echo(f"  {_story(one)}")
        if one.traceback:
            click.echo("\n".join("    " + line for line in one.traceback.splitlines()))
    return 0


@jobs.command(epilog="Examples:  jobrunner jobs explain publish.dispatch ID   |   ... --json")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@json_option()
@pass_scene
@asynchronous
async def explain(scene: Scene, *, queue: str, job_id: str, as_json: bool) -> int:
    """Say in plain words why a job stands where it stands, and what must happen for it to go on.

    Exit status 1 if there is no such job, or no longer.
    """
    async with scene.admin() as admin:
        told = await explained(admin, queue, job_id)
    if as_json:
        print_json(told)
    else:
        _print_explanation(told)
    return 1 if told.state in ("unknown", "forgotten") else 0


@jobs.command(epilog="Example:  jobrunner jobs logs publish.dispatch ID --json")
@click.argument("queue")
@click.argument("job_id", metavar="ID")
@json_option()
@pass_scene
@asynchronous
async def logs(scene: Scene, *, queue: str, job_id: str, as_json: bool) -> int:
    """Print the log lines that are kept with a job, oldest first."""
    async with scene.admin() as admin, _known(admin, queue):
        lines = await admin.logs(queue, job_id)
    for line in lines:
        if as_json:
            print_json(line)
        else:
            rest = " ".join(
                f"{key}={value}" for key, value in line.items() if key not in ("timestamp", "level", "event")
            )
            text = f"{line.get('timestamp', '')} {line.get('level', '')!s:7} {line.get('event', '')} {rest}".rstrip()
            click.echo(printable(text))
    if not lines:
        click.echo(f"no line is kept with job {job_id}", err=True)
    return 0


@jobs.command(
    epilog="Examples:  jobrunner jobs retry publish.dispatch ID   |   jobrunner jobs retry publish.dispatch --all failed"
)
@click.argument("queue")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option(
    "--all", "state", type=click.Choice(["failed", "cancelled", "parked"]), help="All jobs of this state."
)
@pass_scene
@asynchronous
async def retry(scene: Scene, *, queue: str, ids: tuple[str, ...], state: str | None) -> int:
    """Put failed, cancelled or parked jobs in line again, with their attempts forgiven."""
    if bool(ids) == bool(state):
        raise click.UsageError("name the jobs, or --all failed")
    async with scene.admin() as admin:
        await admin.check_known(queue)
        if state:
            moved = 0
            async for step in admin.retry_all(queue, State(state)):
                moved += step
            click.echo(f"{counted(moved, state + ' job')} of {queue} in line again")
            return 0
        return _told(
            "in line again", ids, await admin.retry(queue, ids), "is not failed, cancelled or parked"
        )


@jobs.command(epilog="Example:  jobrunner jobs promote publish.dispatch ID")
@click.argument("queue")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@pass_scene
@asynchronous
async def promote(scene: Scene, *, queue: str, ids: tuple[str, ...]) -> int:
    """Let delayed jobs start now."""
    async with scene.admin() as admin:
        await admin.check_known(queue)
        return _told("in line", ids, await admin.promote(queue, ids), "is not delayed")


@jobs.command(epilog="Example:  jobrunner jobs cancel publish.dispatch ID --reason 'the customer left'")
@click.argument("queue")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--reason", default="", help="Told to the handler and kept with the job.")
@pass_scene
@asynchronous
async def cancel(scene: Scene, *, queue: str, ids: tuple[str, ...], reason: str) -> int:
    """Stop jobs: one that waits at once, one that runs is asked to and stops within seconds."""
    async with scene.admin() as admin:
        await admin.check_known(queue)
        verdicts = await admin.cancel(queue, ids, reason)
    words = {
        "cancelled": "cancelled",
        "requested": "runs, and was asked to stop",
        "ended": "had ended before",
        "missing": "is not there",
    }
    for job_id, verdict in verdicts.items():
        click.echo(f"{job_id} {words[verdict]}")
    return 0 if all(verdict in ("cancelled", "requested") for verdict in verdicts.values()) else 1


@jobs.command(epilog="Example:  jobrunner jobs remove publish.dispatch ID")
@click.argument("queue")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@pass_scene
@asynchronous
async def remove(scene: Scene, *, queue: str, ids: tuple[str, ...]) -> int:
    """Delete jobs and all that is known of them; one that runs must be cancelled first."""
    async with scene.admin() as admin:
        await admin.check_known(queue)
        return _told("removed", ids, await admin.remove(queue, ids), "is not there, or runs: cancel it first")


@contextlib.asynccontextmanager
async def _known(admin: Admin, queue: str) -> AsyncIterator[None]:
    """Where a job is not there since its queue is none, say that: it is a typing mistake in the queue's name."""
    try:
        yield
    except JobNotFoundError:
        await admin.check_known(queue)
        raise


def _told(done: str, ids: tuple[str, ...], moved: list[str], otherwise: str) -> int:
    for job_id in dict.fromkeys(ids):
        click.echo(f"{job_id} {'is ' + done if job_id in moved else otherwise}")
    return 0 if set(ids) <= set(moved) else 1


def _json(value: object) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _story(one: Happening) -> str:
    parts = [when(one.at), one.what]
    if one.attempt:
        parts.append(f"attempt {one.attempt}")
    if one.error_type:
        parts.append(f"{one.error_type}: {' '.join(one.message.split())}")
    elif one.message:
        parts.append(one.message)
    if one.worker:
        parts.append(f"worker {one.worker}")
    if one.delay_ms:
        parts.append(f"next in {span(one.delay_ms)}")
    return printable("  ".join(parts))


def _print_explanation(told: Explanation) -> None:
    """The state and where the job stands in it; then each reason, with what it needs to go on under it."""
    for number, reason in enumerate(told.reasons):
        moment = f" ({when(reason.at)})" if reason.at else ""
        text = printable(reason.text + moment)
        if number == 0:
            click.echo(f"{click.style(told.state, bold=True)}: {text}")
        else:
            click.echo(f"  {click.style(text, fg='yellow' if reason.remedy else None)}")
        if reason.remedy:
            click.echo(f"    -> {printable(reason.remedy)}")
