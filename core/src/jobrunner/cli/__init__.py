"""The command line `jobrunner`. Commands are imported when they are used, so that help is quick.

Here stands which commands there are, and nothing of what they do.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import importlib.machinery
import importlib.metadata
import os
import sys
from pathlib import Path

import click

from jobrunner.cli.errors import end_soon, ended
from jobrunner.cli.scene import Scene

GROUP = "jobrunner.commands"
"""The entry-point group of commands that other distributions bring."""

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("jobrunner.cli.run:run", "Run a worker."),
    "enqueue": ("jobrunner.cli.enqueue:enqueue", "Enqueue one job, or a file of them."),
    "queues": ("jobrunner.cli.queues:queues", "List the queues."),
    "stats": ("jobrunner.cli.queues:stats", "Show the numbers of queues."),
    "health": ("jobrunner.cli.queues:health", "Say how the queues are; exit 1 if something is wrong."),
    "jobs": ("jobrunner.cli.jobs:jobs", "Look at jobs, and move them by hand."),
    "pause": ("jobrunner.cli.queues:pause", "Let no further job of a queue start."),
    "resume": ("jobrunner.cli.queues:resume", "Let a paused queue go on."),
    "clear": ("jobrunner.cli.queues:clear", "Delete the jobs of a queue, but never one that runs."),
    "limits": ("jobrunner.cli.limits:limits", "Show and change what a queue and its tenants may do."),
    "workers": ("jobrunner.cli.workers:workers", "List the workers."),
    "top": ("jobrunner.cli.top:top", "Watch queues and workers live."),
    "plugins": ("jobrunner.cli.plugins:plugins", "List, show, check and make plugins."),
    "doctor": (
        "jobrunner.cli.doctor:doctor",
        "Check the server, the workers and the store; exit 1 on findings.",
    ),
}
"""Command -> where it is, and its line of help."""


class Commands(click.Group):
    """Our commands and those of other distributions, each imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        del ctx
        return [*COMMANDS, *sorted(name for name in _others() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name in COMMANDS:
            return _import(COMMANDS[cmd_name][0])
        point = _others().get(cmd_name)
        if point is None:
            return None
        try:
            command = point.load()
        except Exception as error:
            raise click.ClickException(
                f"{_blame(point)} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if not isinstance(command, click.Command):
            raise click.ClickException(f"{_blame(point)} is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. `jobrunner ... | head` is no failure: whoever reads has seen enough."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # before click makes a failure of it
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        others = {name: point for name, point in _others().items() if name not in COMMANDS}
        if others:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, _summary(point)) for name, point in sorted(others.items())])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Examples:  jobrunner --embedded run --plugin ./greeting.py   |   jobrunner stats --json   |   "
    "jobrunner jobs list publish.dispatch --state failed",
)
@click.option("--embedded", is_flag=True, help="Use a Valkey of this folder's own, in ./.jobrunner.")
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False),
    help="Read environment variables from a file of NAME=value lines.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="jobrunner-core", prog_name="jobrunner")
@click.pass_context
def cli(ctx: click.Context, *, embedded: bool, env_file: str | None, debug: bool) -> None:
    """Run background jobs on Redis or Valkey; each queue is a plugin.

    The store is REDIS_URL (or REDIS_HOST, REDIS_PORT ...); every setting is an environment variable.
    """
    del debug  # looked for by `main`, since an error may come before the options are read
    ctx.obj = Scene.from_options(os.environ, embedded=embedded, env_file=env_file)


def main() -> None:
    """Run the command line and exit with its status: 0 done, 1 failed, 2 wrong usage, 3 the store cannot be used."""
    run = functools.partial(cli.main, prog_name="jobrunner", standalone_mode=False)
    status = ended(run, debug="--debug" in sys.argv[1:])
    end_soon(status)
    sys.exit(status)


def _import(target: str) -> click.Command:
    module, _, name = target.partition(":")
    command = getattr(importlib.import_module(module), name)
    assert isinstance(command, click.Command)
    return command


def _others() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}


def _blame(point: importlib.metadata.EntryPoint) -> str:
    dist = f" ({point.dist.name} {point.dist.version})" if point.dist else ""
    return f"the command {point.name}{dist}"


def _summary(point: importlib.metadata.EntryPoint) -> str:
    """A command's line of help, read from its source without importing it; its distribution's own line else."""
    package, _, inner = point.module.partition(".")
    spec = importlib.machinery.PathFinder.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        module = Path(folder, *inner.split(".")) if inner else Path(folder)
        for path in (module.with_suffix(".py"), module / "__init__.py"):
            with contextlib.suppress(OSError, SyntaxError, ValueError):
                for node in ast.parse(path.read_text("utf-8")).body:
                    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == point.attr:
                        return (ast.get_docstring(node) or "").partition("\n")[0]
    return (point.dist.metadata["Summary"] or "") if point.dist else ""
