"""`jobrunner limits`: show and change what a queue and its tenants may do, while workers run."""

from __future__ import annotations

import math

import click

from jobrunner.cli.output import json_option, print_json, print_table
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.cli.words import Word
from jobrunner.model import RateLimit

BOUND = click.IntRange(0, 10**9)
BYTES = click.IntRange(0, 10**15)
OF_THE_QUEUE = ("max_active_per_tenant", "rate_per_tenant", "max_waiting", "max_waiting_bytes")


def _rate(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """`100/60`, `100/60:10`, or 0 for any number; as the store takes it."""
    if value is None or value == "0":
        return value
    try:
        return RateLimit.parse(value).stored
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


@click.command(
    epilog="""Examples:

    jobrunner limits publish.dispatch

    jobrunner limits publish.dispatch --max-active 50 --rate-per-tenant 100/60

    jobrunner limits publish.dispatch --tenant acme --max-active 2 --weight 0.5

    jobrunner limits publish.dispatch --tenant acme --clear"""
)
@click.argument("queue")
@click.option("--tenant", type=Word(), metavar="TENANT", help="Of this tenant only.")
@click.option("--max-active", type=BOUND, help="Jobs at once over all workers; 0 is any number.")
@click.option("--max-active-per-tenant", type=BOUND, help="The same for each tenant.")
@click.option(
    "--rate",
    callback=_rate,
    metavar="JOBS/SECONDS",
    help="Jobs that may start in so many seconds: 100/60, or 100/60:10 with a burst of 10.",
)
@click.option("--rate-per-tenant", callback=_rate, metavar="JOBS/SECONDS", help="The same for each tenant.")
@click.option(
    "--weight",
    type=click.FloatRange(0.001, 64),
    help="With --tenant: its share of the line beside others of 1.",
)
@click.option(
    "--max-waiting", type=BOUND, help="Jobs waiting, delayed and held, past which the queue refuses."
)
@click.option("--max-waiting-bytes", type=BYTES, help="The same in bytes of their records, roughly.")
@click.option(
    "--clear",
    is_flag=True,
    help="Forget first what was set by hand before; what the plugin declares holds again.",
)
@json_option()
@pass_scene
@asynchronous
async def limits(
    scene: Scene, *, queue: str, tenant: str | None, clear: bool, as_json: bool, **changes: float | str | None
) -> int:
    """Show the limits of QUEUE and its tenants, or change them at once, without a deploy.

    What is set here goes before what the plugin declares, until it is cleared.
    """
    tenant = tenant or ""  # the queue itself
    fields = _fields(tenant, {name: value for name, value in changes.items() if value is not None})
    async with scene.admin() as admin:
        await admin.check_known(queue)
        if clear:
            await admin.limits.clear(queue, tenant)
        if fields:
            await admin.limits.set(queue, fields)
        found = await admin.limits.table(queue, await admin.declared(queue), tenant)
    if as_json:
        print_json(found)
        return 0
    rows = [
        (
            one.tenant or "(the queue)",
            one.name.replace("_", " "),
            _text(one.declared),
            _text(one.by_hand),
            one.now,
        )
        for one in found
    ]
    whom = f"{tenant} in {queue}" if tenant else queue
    columns = ("tenant", "limit", "declared", "by hand", "now")
    print_table(columns, rows, numbers=("now",), empty=f"{whom} has no limit")
    return 0


def _fields(tenant: str, changes: dict[str, int | float | str]) -> dict[str, object]:
    """What is to be set, as the store names it."""
    for name in changes:
        option = "--" + name.replace("_", "-")
        if tenant and name in OF_THE_QUEUE:
            raise click.UsageError(f"{option} is of the whole queue: leave --tenant out")
        if not tenant and name == "weight":
            raise click.UsageError(f"{option} is of one tenant: name it with --tenant")
    if math.isnan(float(changes.get("weight", 1))):
        raise click.UsageError("--weight is a number")
    return {f"{name}:{tenant}" if tenant else name: value for name, value in changes.items()}


def _text(value: float | str | None) -> str:
    if value is None:
        return ""
    if value in (0, ""):
        return "any"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else value
