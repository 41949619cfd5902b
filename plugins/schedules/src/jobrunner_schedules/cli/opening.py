"""What every command of schedules begins with: the store and the plugins; and the warning that most of them end with."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from jobrunner.cli.output import when

if TYPE_CHECKING:  # help must not wait for them
    from jobrunner.cli.scene import Scene
    from jobrunner.sync_client import SyncClient
    from jobrunner_schedules.book import Kept, Schedules

RETRY_S = 10.0
"""Seconds for which a call is sent again while the store is away, as in `jobrunner enqueue`."""

NOBODY = "nobody keeps the schedules, so none fires: start a worker that loads the plugin `schedules`, or `jobrunner schedules run`"

plugin_option = click.option(
    "--plugin",
    "plugin_names",
    multiple=True,
    metavar="NAME",
    help="A plugin that declares the queue, as in run.",
)


@contextlib.contextmanager
def opened(scene: Scene, plugin_names: tuple[str, ...] = ()) -> Iterator[tuple[Schedules, SyncClient]]:
    """The schedules of the store, and the client that they are checked by."""
    from jobrunner.store.connect import open_sync_store
    from jobrunner.sync_client import SyncClient
    from jobrunner_schedules.book import Schedules

    store = open_sync_store(scene.address, scene.settings.prefix)
    with SyncClient(
        store, scene.plugins(plugin_names, strict=bool(plugin_names)), retry_for=RETRY_S
    ) as client:
        yield Schedules(client), client


def in_zone(slot: int | None, timezone: str) -> str:
    """A slot by the clock that its schedule goes by."""
    from datetime import datetime

    from jobrunner_schedules.plan import zone

    if slot is None:
        return "no time"
    try:
        moment = datetime.fromtimestamp(slot / 1000, zone(timezone))
    except (OverflowError, ValueError, OSError):  # it was not the store that wrote it
        return when(slot)
    return moment.strftime("%a %Y-%m-%d %H:%M:%S %Z")


def warn_of_nobody(book: Schedules, found: list[Kept]) -> None:
    """Say so where nothing will fire."""
    if any(one.next_at for one in found) and book.kept_at() is None:
        sys.stdout.flush()
        click.echo(f"warning: {NOBODY}", err=True)
