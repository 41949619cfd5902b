"""`jobrunner approvers`: import approvers from a CSV file, list them, remove them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import BinaryIO, TypeVar

import click
import msgspec

from jobrunner import plugin_settings
from jobrunner_approval.csv_file import MOST_BYTES, CsvError, read_approvers
from jobrunner_approval.directory import Directory, DirectoryError, open_directory
from jobrunner_approval.settings import ApprovalSettings

T = TypeVar("T")

COLUMNS = ("tenantId", "approverId", "name", "email", "phone")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def approvers() -> None:
    """Import, list and remove the approvers of approval.notify.

    They are in the database of JOBRUNNER_APPROVAL_DATABASE_URL, ./approvers.db by default.
    """


@approvers.command(
    "import",
    epilog="Examples:  jobrunner approvers import people.csv --dry-run   |   jobrunner approvers import - --tenant acme",
)
@click.argument("file", type=click.File("rb"))
@click.option("--tenant", help="The tenant of all lines, where the file has no column tenantId.")
@click.option("--dry-run", is_flag=True, help="Check the file, say what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def import_(*, file: BinaryIO, tenant: str | None, dry_run: bool, as_json: bool) -> None:
    """Add the approvers of a CSV file, or change those that are there: all of them, or none.

    Columns: tenantId, approverId, name, email, phone. Nobody is removed.
    """
    try:
        found = read_approvers(file.read(MOST_BYTES + 1), tenant_id=tenant)
    except CsvError as error:
        for problem in error.problems:
            click.echo(f"{file.name}: {problem}", err=True)
        count = len(error.problems) + error.more
        raise click.ClickException(
            f"nothing was imported: {count} problem{'' if count == 1 else 's'} in {file.name}"
            + (f", of which {len(error.problems)} are shown" if error.more else "")
        ) from None
    saved = _in_directory(lambda directory: directory.save(found, dry_run=dry_run))
    if as_json:
        click.echo(msgspec.json.encode({**msgspec.structs.asdict(saved), "dryRun": dry_run}).decode())
        return
    done = "would be " if dry_run else ""
    click.echo(
        f"approvers: {saved.created} {done}added, {saved.updated} {done}changed, {saved.unchanged} the same"
    )


@approvers.command("list", epilog="Example:  jobrunner approvers list --tenant acme --json")
@click.option("--tenant", help="Only this tenant's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def list_(*, tenant: str | None, as_json: bool) -> None:
    """List the approvers."""
    found = _in_directory(lambda directory: directory.all(tenant))
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    if not found:
        click.echo("no approvers; import some with `jobrunner approvers import FILE.csv`", err=True)
        return
    rows = [COLUMNS, *((one.tenant_id, one.approver_id, one.name, one.email, one.phone) for one in found)]
    shown = [[_printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in shown) for at in range(len(COLUMNS))]
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@approvers.command("remove", epilog="Example:  jobrunner approvers remove --tenant acme ana bo")
@click.option("--tenant", required=True, help="Whose approvers they are.")
@click.argument("approver_ids", nargs=-1, required=True, metavar="ID...")
def remove(*, tenant: str, approver_ids: tuple[str, ...]) -> None:
    """Remove approvers of one tenant."""
    count = _in_directory(lambda directory: directory.remove(tenant, approver_ids))
    if count < len(set(approver_ids)):
        raise click.ClickException(f"{count} removed; the others are no approvers of {tenant}")
    click.echo(f"{count} removed")


def _in_directory(use: Callable[[Directory], Awaitable[T]]) -> T:
    settings = plugin_settings("approval", ApprovalSettings, os.environ)

    async def run() -> T:
        async with open_directory(settings) as directory:
            return await use(directory)

    try:
        return asyncio.run(run())
    except DirectoryError as error:
        raise click.ClickException(str(error)) from None


def _printable(text: str) -> str:
    """Text from a table may hold anything; what a terminal would obey is shown instead."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
