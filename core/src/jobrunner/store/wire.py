"""Commands as bytes, by hiredis's packer: the driver's own takes a third of a worker's time at high rates."""

from __future__ import annotations

from collections.abc import Sequence

import hiredis

Command = Sequence[object]


def pack(command: Command) -> list[bytes]:
    """One command as it goes over the wire, in the list that the driver's connections take.

    Raises:
        hiredis.HiredisError: A part is neither text, bytes nor a number.
        UnicodeEncodeError: A text cannot be written as UTF-8.
    """
    return [hiredis.pack_command(tuple(command))]  # type: ignore[arg-type]  # hiredis checks each part itself


def pack_many(commands: Sequence[Command]) -> list[bytes]:
    """Commands that are sent together."""
    return [part for command in commands for part in pack(command)]
