"""The command that keeps schedules in a process of its own."""

from __future__ import annotations

import signal

import click

from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.wording import counted
from jobrunner_schedules.cli.opening import opened, plugin_option


@click.command(epilog="Example:  jobrunner schedules run --log-format json")
@plugin_option
@click.option(
    "--log-format",
    type=click.Choice(["auto", "json", "console", "ecs", "otel"]),
    help="JOBRUNNER_LOG_FORMAT; auto is console at a terminal.",
)
@pass_scene
def run(scene: Scene, *, plugin_names: tuple[str, ...], log_format: str | None) -> None:
    """Keep the schedules in a process of its own, without a worker. SIGTERM or Ctrl-C stop it.

    A worker that loads the plugin `schedules` does the same beside its jobs. Any number may do so at once.
    """
    import msgspec

    from jobrunner.store import server
    from jobrunner_schedules.keeper import Keeper
    from jobrunner_schedules.trail import teller

    settings = scene.settings
    settings = msgspec.structs.replace(settings, log_format=log_format or settings.log_format)
    with opened(scene, plugin_names) as (book, client):
        server.check(client.store.run(server.info()), allow_eviction=settings.allow_eviction)
        keeper = Keeper(client, teller(settings))
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: keeper.stop())
        click.echo(f"keeping {counted(len(book.names()), 'schedule')} of {scene.address.masked()}", err=True)
        keeper.run()
