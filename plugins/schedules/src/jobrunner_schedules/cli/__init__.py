"""`jobrunner schedules`: the commands, by what they are for. What they do is imported when they run."""

from __future__ import annotations

import click

from jobrunner_schedules.cli import changing, keeping, looking

COMMANDS: tuple[click.Command, ...] = (
    changing.set_,
    changing.apply,
    looking.list_,
    looking.show,
    looking.preview,
    changing.pause,
    changing.resume,
    changing.remove,
    changing.fire,
    keeping.run,
)
"""The commands, by what one does first."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def schedules() -> None:
    """Enqueue jobs at set times: cron expressions and intervals."""


for command in COMMANDS:
    schedules.add_command(command)
