"""`jobrunner plugins`: what is installed, what it declares, whether it is sound; and what writes new ones."""

from __future__ import annotations

import click
import msgspec

from jobrunner.cli.making import new, stubs
from jobrunner.cli.output import json_option, print_json, print_table
from jobrunner.cli.scene import Scene, pass_scene
from jobrunner.declaration import payload_schema
from jobrunner.errors import PluginError
from jobrunner.plugins import Plugin, Plugins, queue_concurrency
from jobrunner.wording import counted


@click.group()
def plugins() -> None:
    """List, show, check and make plugins."""


plugins.add_command(new)
plugins.add_command(stubs)


@plugins.command("list", epilog="Examples:  jobrunner plugins list   |   jobrunner plugins list --json")
@json_option()
@pass_scene
def list_(scene: Scene, *, as_json: bool) -> int:
    """List the plugins that are installed, and what each declares. One that is broken does not hide the others."""
    found = scene.plugins(strict=False)
    if as_json:
        print_json(
            [_facts(scene, one) for one in found]
            + [{"name": name, "error": str(error)} for name, error in found.failures.items()]
        )
        return 1 if found.failures else 0
    rows = []
    for plugin in found:
        for name, queue in plugin.queues.items() or [("", None)]:
            about = (
                (queue.priority, queue_concurrency(queue, scene.settings, scene.environ), queue.executor)
                if queue
                else ("", "", "")
            )
            rows.append((plugin.name, f"{plugin.found.distribution} {plugin.found.version}", name, *about))
    columns = ("plugin", "distribution", "queue", "priority", "concurrency", "executor")
    print_table(
        columns, rows, numbers=("priority", "concurrency"), empty="no plugin is installed; `pip install` one"
    )
    return _failures(found)


@plugins.command(
    epilog="Examples:  jobrunner plugins show publish   |   jobrunner plugins show ./greeting.py"
)
@click.argument("name")
@json_option()
@pass_scene
def show(scene: Scene, *, name: str, as_json: bool) -> int:
    """Show one plugin: its hooks, queues, settings and outside services."""
    plugin = next(iter(scene.plugins((name,))))
    if as_json:
        print_json(_facts(scene, plugin))
        return 0
    facts = _facts(scene, plugin)
    click.echo(f"{plugin.found.blame}")
    for key in ("hooks", "services", "settings"):
        value = facts[key]
        if value:
            click.echo(f"  {key}")
            for line in value.items() if isinstance(value, dict) else [(one, "") for one in value]:  # type: ignore[attr-defined]  # a map or a list, made below
                click.echo(f"    {line[0]}  {line[1]}".rstrip())
    for queue in plugin.queues.values():
        click.echo(f"  queue {queue.name}")
        click.echo(
            f"    payload {queue.payload.__name__} (version {queue.version}), priority {queue.priority}, executor {queue.executor}"
        )
        click.echo(
            f"    {queue.retry.max_attempts} attempts, timeout {queue.timeout:g} s, lease {queue.lease:g} s"
        )
        if queue.route:
            click.echo(f"    client.{queue.route.replace('-', '_').replace('/', '.')}(...)")
    return 0


@plugins.command(epilog="Example:  jobrunner plugins schema publish.dispatch > publish.schema.json")
@click.argument("queue")
@click.option(
    "--plugin", "plugin_names", multiple=True, metavar="NAME", help="A plugin that declares it, as in run."
)
@pass_scene
def schema(scene: Scene, *, queue: str, plugin_names: tuple[str, ...]) -> int:
    """Print the JSON Schema of a queue's payload, as it is on the wire."""
    declared = scene.plugins(plugin_names, strict=bool(plugin_names)).queue(queue)
    click.echo(msgspec.json.format(msgspec.json.encode(payload_schema(declared))).decode())
    return 0


@plugins.command(
    epilog="Examples:  jobrunner plugins check   |   jobrunner plugins check ./greeting.py --json"
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option()
@pass_scene
def check(scene: Scene, *, names: tuple[str, ...], as_json: bool) -> int:
    """Check plugins without running a job: hooks, queues, payloads, routes, wrappers. Exit 1 if one is not sound."""
    found = scene.plugins(names, strict=False)
    problems = {name: _line(error) for name, error in found.failures.items()}
    for plugin in found:
        problem = _problem(found, plugin)
        if problem:
            problems[plugin.name] = f"{plugin.found.blame}: {problem}"
    if as_json:
        sound = [{"name": one.name, "sound": True} for one in found if one.name not in problems]
        print_json(sound + [{"name": name, "sound": False, "error": text} for name, text in problems.items()])
        return 1 if problems else 0
    for plugin in found:
        if plugin.name not in problems:
            has = f"{counted(len(plugin.queues), 'queue')}, {counted(len(plugin.hooks), 'hook')}"
            click.echo(f"{click.style('sound', fg='green')}  {plugin.found.blame}: {has}")
    for text in problems.values():
        click.echo(f"{click.style('broken', fg='red')} {text}", err=True)
    return 1 if problems else 0


def _problem(found: Plugins, plugin: Plugin) -> str:
    """What is wrong with the first queue of a plugin that is not sound; nothing where all are."""
    for queue in plugin.queues.values():
        try:
            payload_schema(queue)
            found.wrapped_handler(queue)
        except Exception as error:  # noqa: BLE001 - a plugin's own code runs here, and the others are to be checked too
            text = (
                _line(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {_line(error)}"
            )
            return f"queue {queue.name}: {text}"
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _failures(found: Plugins) -> int:
    for error in found.failures.values():
        click.echo(f"{click.style('broken', fg='red')} {_line(error)}", err=True)
    return 1 if found.failures else 0


def _facts(scene: Scene, plugin: Plugin) -> dict[str, object]:
    from jobrunner.masking import masked
    from jobrunner.settings import variable_name

    values = masked(plugin.settings, plugin.settings_type)
    assert isinstance(values, dict)
    fields = zip(
        plugin.settings_type.__struct_fields__, plugin.settings_type.__struct_encode_fields__, strict=True
    )
    return {
        "name": plugin.name,
        "distribution": plugin.found.distribution,
        "version": plugin.found.version,
        "hooks": plugin.hooks,
        "services": plugin.services,
        "settings": {variable_name(plugin.name, name): values.get(wire) for name, wire in fields},
        "queues": [
            {
                "name": queue.name,
                "priority": queue.priority,
                "concurrency": queue_concurrency(queue, scene.settings, scene.environ),
                "executor": queue.executor,
                "version": queue.version,
                "route": queue.route,
                "maxAttempts": queue.retry.max_attempts,
                "timeout": queue.timeout,
                "lease": queue.lease,
            }
            for queue in plugin.queues.values()
        ],
    }
