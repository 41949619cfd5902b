"""`jobrunner serve` and `jobrunner token`. The framework is imported when a command runs, not for its help."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import click

from jobrunner.cli.output import json_option, print_json, print_table, when
from jobrunner.cli.scene import Scene, asynchronous, pass_scene

ROLE_NAMES = ("metrics", "viewer", "operator", "admin")


@click.command(
    epilog="Examples:  jobrunner token new ops --role admin && jobrunner serve   |   "
    "jobrunner --embedded serve --dev --worker"
)
@click.option("--host", help="The address to listen at; JOBRUNNER_HTTP_HOST, 127.0.0.1 by default.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="The port; JOBRUNNER_HTTP_PORT, 3000 by default. 0: any free one.",
)
@click.option(
    "--plugin",
    "plugin_names",
    multiple=True,
    metavar="NAME",
    help="A plugin by name, .py file or module; all installed ones by default.",
)
@click.option("--worker", is_flag=True, help="Run a worker in this process too, for small installations.")
@click.option("--dev", is_flag=True, help="Make a token for this run and print a link; on this machine only.")
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "console"]),
    help="JOBRUNNER_LOG_FORMAT; auto is console at a terminal.",
)
@pass_scene
def serve(
    scene: Scene,
    *,
    host: str | None,
    port: int | None,
    plugin_names: tuple[str, ...],
    worker: bool,
    dev: bool,
    log_format: str | None,
) -> None:
    """Serve the HTTP API and the dashboard.

    It listens only where there is a token: `jobrunner token new NAME` makes one. SIGTERM or Ctrl-C stop it in order.
    """
    import msgspec  # noqa: PLC0415 - help must not wait for it

    from jobrunner_http.running import serve as run  # noqa: PLC0415 - as above
    from jobrunner_http.settings import http_settings  # noqa: PLC0415 - as above

    environ = {**scene.environ, **({"JOBRUNNER_LOG_FORMAT": log_format} if log_format else {})}
    settings = http_settings(environ)
    settings = msgspec.structs.replace(
        settings,
        host=settings.host if host is None else host,
        port=settings.port if port is None else port,
    )
    if dev and not settings.is_loopback:
        raise click.UsageError(
            f"--dev is for this machine only, and {settings.host} can be reached from others"
        )
    plugins = scene.plugins(plugin_names)
    scene.warn(plugins)
    status = asyncio.run(
        run(
            environ,
            plugins,
            settings,
            dev=dev,
            worker_names=plugin_names or None,
            worker=worker,
        )
    )
    # The server's threads, which are not Python's, may still look at the interpreter: taking it down under them aborts.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@click.group()
def token() -> None:
    """Make, list and revoke the tokens of the HTTP API."""


@token.command(
    epilog="Examples:  jobrunner token new ops --role admin   |   jobrunner token new shop --role operator --tenant acme"
)
@click.argument("name")
@click.option("--role", type=click.Choice(ROLE_NAMES), default="viewer", show_default=True)
@click.option(
    "--tenant", "tenants", multiple=True, help="Only this tenant's jobs; may be given several times."
)
@click.option("--queue", "queues", multiple=True, help="Only this queue; may be given several times.")
@click.option("--days", type=click.FloatRange(0.0001, 36_500), help="Days until it stops; never by default.")
@json_option()
@pass_scene
@asynchronous
async def new(
    scene: Scene,
    *,
    name: str,
    role: str,
    tenants: tuple[str, ...],
    queues: tuple[str, ...],
    days: float | None,
    as_json: bool,
) -> int:
    """Make a token and print it, this once: only its digest is kept."""
    import msgspec  # noqa: PLC0415 - help must not wait for it

    from jobrunner_http.access import ROLES  # noqa: PLC0415 - as above
    from jobrunner_http.tokens import MAX_TOKENS, make_token  # noqa: PLC0415 - as above

    text, kept = make_token(name, ROLES[role], tenants=tenants, queues=queues, days=days)
    async with scene.admin() as admin:
        if len(await admin.tokens()) >= MAX_TOKENS:
            raise click.ClickException(f"there are {MAX_TOKENS:,} tokens; revoke some first")
        await admin.keep_token(kept.id, msgspec.json.encode(kept))
    if as_json:
        print_json({"id": kept.id, "token": text})
        return 0
    click.echo(text)
    click.echo(f"keep it safe: it is not shown again; `jobrunner token revoke {kept.id}` stops it", err=True)
    return 0


@token.command("list", epilog="Example:  jobrunner token list --json")
@json_option()
@pass_scene
@asynchronous
async def list_(scene: Scene, *, as_json: bool) -> int:
    """List the tokens by their ids, without what would let anybody in."""
    from jobrunner_http.tokens import read_tokens  # noqa: PLC0415 - help must not wait for it

    async with scene.admin() as admin:
        kept = sorted(read_tokens(await admin.tokens()).values(), key=lambda one: one.created_at)
    if as_json:
        print_json(
            [
                {
                    "id": one.id,
                    "name": one.name,
                    "role": one.role,
                    "tenants": one.tenants,
                    "queues": one.queues,
                    "createdAt": one.created_at,
                    "expiresAt": one.expires_at,
                }
                for one in kept
            ]
        )
        return 0
    now_ms = int(time.time() * 1000)
    rows = [
        (
            one.id,
            one.name,
            one.role,
            ", ".join(one.tenants or ("all",)),
            ", ".join(one.queues or ("all",)),
            when(one.created_at),
            f"{when(one.expires_at)}{' (over)' if one.is_over(now_ms) else ''}",
        )
        for one in kept
    ]
    print_table(
        ("id", "name", "role", "tenants", "queues", "made", "until"),
        rows,
        folds="name",
        empty="there is no token",
    )
    return 0


@token.command(epilog="Example:  jobrunner token revoke 3zq5d4mwk2")
@click.argument("token_id", metavar="ID")
@pass_scene
@asynchronous
async def revoke(scene: Scene, *, token_id: str) -> int:
    """Stop a token; it is let in nowhere within 5 seconds."""
    token_id = token_id.removeprefix("jrt_").partition("_")[0]
    async with scene.admin() as admin:
        if not await admin.drop_token(token_id):
            raise click.ClickException(f"there is no token {token_id}; `jobrunner token list` shows them")
    click.echo(f"revoked {token_id}")
    return 0
