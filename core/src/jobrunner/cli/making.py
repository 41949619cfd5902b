"""`jobrunner plugins new` and `jobrunner plugins stubs`: what writes code for those who write plugins."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.errors import PluginError


@click.command(
    epilog="Examples:  jobrunner plugins new mail   |   jobrunner plugins new mail --queue mail.send --directory ./mail"
)
@click.argument("name")
@click.option("--queue", metavar="QUEUE", help="The queue that it declares; NAME.run by default.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The new distribution's folder; ./jobrunner-NAME by default.",
)
@pass_scene
def new(scene: Scene, *, name: str, queue: str | None, directory: Path | None) -> int:
    """Write a new plugin: a whole distribution with a queue that works, and its tests. Nothing is written over."""
    from jobrunner.scaffold import check_free, draft_plugin, write_plugin

    draft = draft_plugin(name, queue)
    folder = directory if directory is not None else Path(draft.distribution)
    check_free(draft, scene.plugins(strict=False))
    files = write_plugin(draft, folder)
    for file in files:
        click.echo(f"  {file}")
    shown = folder if folder.is_absolute() else Path(".", folder)
    target = f"{'' if shown.is_absolute() else './'}{shown}"
    click.echo(f"\n{draft.distribution} with the queue {draft.queue}. Next:\n")
    click.echo(f"  pip install -e {shlex.quote(f'{target}[dev]')}")
    click.echo(f"  pytest {shlex.quote(target)}")
    click.echo(f"  jobrunner --embedded run --plugin {draft.plugin}")
    return 0


@click.command(
    epilog="Examples:  jobrunner plugins stubs publish   |   jobrunner plugins stubs mail --output src/mail/producers.py"
)
@click.argument("plugin")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to a file."
)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Exit 1 if the file says anything else; layout and order of imports do not count. For CI.",
)
@pass_scene
def stubs(scene: Scene, *, plugin: str, output: Path | None, check: Path | None) -> int:
    """Print typed producers of a plugin's queues, for editors and type checkers: the payload's fields as arguments."""
    from jobrunner.stubs import MARK, producers_source, same_code

    if output and check:
        raise click.UsageError("--output writes and --check compares: give one of them")
    loaded = next(one for one in scene.plugins((plugin,)))
    source = producers_source(loaded)
    if check:
        if same_code(_read(check) or "", source):
            return 0
        click.echo(
            f"{check} is not current: run `jobrunner plugins stubs {plugin} --output {check}`", err=True
        )
        return 1
    if output is None:
        click.echo(source, nl=False)
        return 0
    before = _read(output)
    if before and MARK not in before:
        raise PluginError(
            f"{output} was not written by this command, and is not written over; name another file"
        )
    if before is None or not same_code(before, source):
        try:
            output.write_text(source, "utf-8")
        except OSError as error:
            raise PluginError(f"{output} cannot be written: {error.strerror}") from None
    return 0


def _read(file: Path) -> str | None:
    """A file's text; None where there is none."""
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{file} cannot be read: {error}") from None
