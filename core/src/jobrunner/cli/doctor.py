"""`jobrunner doctor`: what is wrong, or will be."""

from __future__ import annotations

import sys

import click

from jobrunner.audit import Finding
from jobrunner.cli.output import json_option, print_json
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.doctor import examine
from jobrunner.store import permissions

MARKS = {
    "ok": ("ok     ", "green"),
    "warning": ("warning", "yellow"),
    "error": ("error  ", "red"),
    "fixed": ("fixed  ", "cyan"),
}


@click.command(
    epilog="Examples:  jobrunner doctor   |   jobrunner doctor --fix --json   |   jobrunner doctor --acl"
)
@click.option("--quick", is_flag=True, help="Do not walk through every job.")
@click.option("--fix", is_flag=True, help="Put jobs that are not in their place back, and say what was done.")
@click.option(
    "--acl", is_flag=True, help="Print the ACL users that the store needs, with new passwords, and end."
)
@json_option()
@pass_scene
def doctor(scene: Scene, *, quick: bool, fix: bool, acl: bool, as_json: bool) -> int:
    """Check the server, the workers and every queue; exit 1 if there is an error or a warning."""
    if quick and fix:
        raise click.UsageError("--fix walks through every job; leave out --quick")
    if acl:
        return _print_users(scene, as_json=as_json)
    return _examine(scene, quick=quick, fix=fix, as_json=as_json)


def _print_users(scene: Scene, *, as_json: bool) -> int:
    """Connect to nothing: whoever needs these lines may not be let in yet."""
    users = permissions.grants(scene.address, scene.settings.prefix)
    if as_json:
        print_json(users)
        return 0
    for user in users:
        click.echo(user.command)
    click.echo("run each line on every server; the passwords are new each time this is called", err=True)
    return 0


@asynchronous
async def _examine(scene: Scene, *, quick: bool, fix: bool, as_json: bool) -> int:
    findings: list[Finding] = []
    click.echo(f"store {scene.address.masked()}", err=as_json)

    def progress(queue: str, looked_at: int, number: int) -> None:
        if sys.stderr.isatty():
            text = f"looking at {queue}: {looked_at:,} of {number:,} jobs" if looked_at < number else ""
            click.echo(f"\r\033[K{text}", err=True, nl=False)

    async with scene.admin() as admin:
        async for finding in examine(admin, deep=not quick, fix=fix, progress=progress):
            findings.append(finding)
            if not as_json:
                mark, colour = MARKS[finding.level]
                click.echo(f"{click.style(mark, fg=colour)}  {finding.about}: {finding.text}")
    if as_json:
        print_json(findings)
    return 1 if any(finding.level in ("warning", "error") for finding in findings) else 0
