"""`jobrunner workers`."""

from __future__ import annotations

import socket
import time

import click

from jobrunner.cli.output import json_option, print_json, print_table
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.showing import worker_view
from jobrunner.wording import span


@click.command(
    epilog="Examples:  jobrunner workers   |   jobrunner workers --json   |   jobrunner workers --here"
)
@click.option(
    "--here",
    is_flag=True,
    help="Those of this host only; exit 1 if none of them is alive. For a container's probe.",
)
@json_option()
@pass_scene
@asynchronous
async def workers(scene: Scene, *, here: bool, as_json: bool) -> int:
    """List the workers: what they serve, and how they feel. One that has not reported for 20 s is silent."""
    async with scene.admin() as admin:
        found = await admin.workers()
    if here:
        host = socket.gethostname()
        found = [(report, alive) for report, alive in found if report.host == host]
    status = 1 if here and not any(alive for _, alive in found) else 0
    if as_json:
        print_json([worker_view(report, alive=alive) for report, alive in found])
        return status
    now_ms = int(time.time() * 1000)
    rows = [
        (
            report.id,
            "alive" if alive and not report.stopping else "stopping" if alive else "silent",
            ", ".join(f"{name} ({number})" for name, number in report.queues.items()),
            *(report.running, report.completed, report.failed),
            f"{report.loop_lag_ms} ms",
            f"{report.store_ms:.1f} ms",
            span(now_ms - report.started_ms),
        )
        for report, alive in found
    ]
    columns = ("worker", "", "queues", "running", "completed", "failed", "loop lag", "store", "up")
    empty = "no worker has reported; start one with `jobrunner run`"
    print_table(columns, rows, numbers=columns[3:], folds="queues", empty=empty)
    return status
