"""What every worker of a supervisor would say alike is said once: whoever takes the word says it.

The word is a byte in a pipe that the supervisor makes and its workers inherit. It carries no text.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

VARIABLE = "JOBRUNNER_WORKER_WORD"
"""Names the pipe to a worker: its number, and its inode, since a process that inherits the variable alone has another file there."""


class Word:
    """The supervisor's side: the word, to be taken once."""

    def __init__(self) -> None:
        self.reads, self._writes = os.pipe()
        for end in (self.reads, self._writes):
            os.set_blocking(end, False)
        self.give()

    @property
    def environ(self) -> dict[str, str]:
        """The variable that tells a worker of it."""
        return {VARIABLE: f"{self.reads}:{os.fstat(self.reads).st_ino}"}

    def give(self) -> None:
        """Let it be taken again, once, whether it was taken or not."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.reads, 1)
        os.write(self._writes, b"!")

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.reads)
        os.close(self._writes)


def takes_word(environ: Mapping[str, str]) -> bool:
    """Take the word; whether it is this process that has it. One that has no supervisor always has.

    Args:
        environ: The environment.
    """
    number, _, inode = environ.get(VARIABLE, "").partition(":")
    try:
        if not number or os.fstat(int(number)).st_ino != int(inode):
            return True
        return bool(os.read(int(number), 1))
    except BlockingIOError:
        return False
    except (OSError, ValueError):
        return True
