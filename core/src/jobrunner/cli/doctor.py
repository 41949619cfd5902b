"""`jobrunner doctor`: what is wrong, or will be."""

from __future__ import annotations

import sys

import click

from jobrunner.cli.output import json_option, print_json
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.doctor import Finding, examine

MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "error": ("error  ", "red")}


@click.command(epilog="Examples:  jobrunner doctor   |   jobrunner doctor --quick --json")
@click.option("--quick", is_flag=True, help="Do not walk through every job.")
@json_option()
@pass_scene
@asynchronous
async def doctor(scene: Scene, *, quick: bool, as_json: bool) -> int:
    """Check the server, the workers and every queue; exit 1 if there is an error or a warning."""
    findings: list[Finding] = []
    click.echo(f"store {scene.address.masked()}", err=as_json)

    def progress(queue: str, looked_at: int, number: int) -> None:
        if sys.stderr.isatty():
            text = f"looking at {queue}: {looked_at:,} of {number:,} jobs" if looked_at < number else ""
            click.echo(f"\r\033[K{text}", err=True, nl=False)

    async with scene.admin() as admin:
        async for finding in examine(admin, deep=not quick, progress=progress):
            findings.append(finding)
            if not as_json:
                mark, colour = MARKS[finding.level]
                click.echo(f"{click.style(mark, fg=colour)}  {finding.about}: {finding.text}")
    if as_json:
        print_json(findings)
    return 1 if any(finding.level != "ok" for finding in findings) else 0
