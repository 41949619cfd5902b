"""A lock on a file that the kernel lets go of when its holder dies, however it dies.

It is `flock`: the lock belongs to the open file, so a copy of the descriptor in a forked child or in a program
that was handed it holds the lock too. The file itself is never removed: a lock on a removed file shuts nobody
out. It does not block; who wants to wait, asks again.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_PAUSE_S = 0.01
"""Seconds between two tries. The locks are held for milliseconds; `flock` knows no time limit of its own."""


class FileLock:
    """One open lock file; closed over `exec`, so that no program started from here holds it unasked.

    Args:
        path: The file, made with mode 0600 if it is not there.

    Raises:
        OSError: The file cannot be opened, or is a symbolic link.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.path = path

    def fileno(self) -> int:
        """The open file's descriptor, to be handed to a program that shall hold the lock."""
        return self._fd

    def try_exclusive(self) -> bool:
        """Take the lock for this open file alone; False if another holds it. A shared one is given up for it."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock together with others; False if one holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def wait_exclusive(self, deadline: float) -> bool:
        """Take the lock alone; False if it is not to be had by `deadline`, in seconds of monotonic time."""
        while not self.try_exclusive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_PAUSE_S)
        return True

    def unlock(self) -> None:
        """Give the lock up, for every copy of the descriptor. Does nothing where none is held."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def is_free(self) -> bool:
        """Say whether nobody holds the lock; it must not be held by this open file."""
        if not self.try_exclusive():
            return False
        self.unlock()
        return True

    def is_replaced(self) -> bool:
        """Say whether the path leads to another file by now, or to none: the folder was removed."""
        try:
            there = self.path.stat()
        except OSError:
            return True
        here = os.fstat(self._fd)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def close(self) -> None:
        """Close this copy; the lock goes with the last copy. Does nothing the second time."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
