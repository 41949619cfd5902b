"""Whether this is still the process that made a connection: a child that uses it takes the answers of its parent.

Python does not hear of every fork: some web servers make their workers in C. So Linux is told to wipe a page of memory in
each child, which costs nothing to look at; asking for the process's number each time costs a thirtieth of a round trip.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Protocol

from jobrunner.errors import ClosedClientError

_WIPE_ON_FORK = 18  # MADV_WIPEONFORK, Linux 4.14


class Home(Protocol):
    """The mark of a process."""

    def __getitem__(self, at: int, /) -> int:
        """At 0: whether this is the process that it is the mark of."""
        ...


class _Number:
    """A mark where there is no such page."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, at: int, /) -> int:
        return os.getpid() == self._pid


_homes: list[Home] = []


def home() -> Home:
    """The mark of this process."""
    if not _homes or not _homes[-1][0]:
        _homes[:] = [_page() or _Number()]
    return _homes[-1]


def _page() -> Home | None:
    if sys.platform != "linux":  # the number may mean something else there
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (OSError, ValueError):  # an old kernel, or one that only looks like it
        return None
    page[0] = 1
    return page


def carried_over() -> ClosedClientError:
    """What whoever uses a parent's connection is told."""
    return ClosedClientError("this client was carried over a fork; make a new one in this process")
