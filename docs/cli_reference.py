"""Writes the reference of the command line from the commands themselves."""

from __future__ import annotations

import inspect

import click

from jobrunner.cli import COMMANDS, cli


def page(note: str) -> str:
    """Every command with its options.

    Args:
        note: The line that says where the page comes from.
    """
    lines = [
        "# Command line",
        note,
        "",
        "Exit status: 0 done; 1 what was asked for failed, or something was found; 2 wrong usage;",
    ]
    lines += ["3 the store cannot be reached or may not be used. `--json` is for programs.", ""]
    lines += _help("jobrunner", cli, list(COMMANDS))
    return "\n".join(lines) + "\n"


def _help(
    name: str, command: click.Command, inner: list[str], parent: click.Context | None = None
) -> list[str]:
    """A command's help, and that of the commands below it."""
    # With the settings that it inherits when it is run: `-h` is an option of every command.
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    lines = [f"## {name}", "", inspect.cleandoc(command.help or ""), ""]
    # Without --help: click remembers its names from whoever asked first, and every command has it.
    rows = [param.get_help_record(context) for param in command.params]
    listed = [row for row in rows if row is not None]
    if listed:
        lines += ["| option | |", "|---|---|"]
        lines += [f"| `{_cell(option)}` | {_cell(text)} |" for option, text in listed]
        lines.append("")
    for below in inner:
        assert isinstance(command, click.Group)
        found = command.get_command(context, below)
        assert found is not None
        deeper = sorted(found.commands) if isinstance(found, click.Group) else []
        lines += _help(f"{name} {below}", found, deeper, context)
    return lines


def _cell(text: str) -> str:
    """A text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
