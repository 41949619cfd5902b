"""Put the wall clock of a server wrong while it runs, as when somebody sets a machine's time.

A small library is compiled and preloaded into the server; its monotonic clock stays right, as a machine's does.
Linux only, and only where there is a C compiler.
"""

import mmap
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import redis

SOURCE = Path(__file__).with_suffix(".c")
SEEN_S = 5.0  # a server under load answers in milliseconds


class ClockMissingError(Exception):
    """No clock can be put wrong on this machine."""


class WallClock:
    """The wall clock of the processes that are started with its `environ`."""

    def __init__(self, folder: Path) -> None:
        """Compile the library; the clock is right at first.

        Args:
            folder: where the library goes, and the file that says how wrong the clock is.

        Raises:
            ClockMissingError: this is not Linux, or there is no C compiler; the text says which.
        """
        if sys.platform != "linux":
            raise ClockMissingError("a server's clock is put wrong on Linux only")
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise ClockMissingError("no C compiler: install one to put a server's clock wrong")
        self._library, self._file = folder / "wall_clock.so", folder / "wall_clock"
        self._file.write_bytes(bytes(8))
        with self._file.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 8)
        self.offset_s = 0.0
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(self._library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, capture_output=True, text=True)

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables for the process whose clock it is."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK_FILE": str(self._file)}

    def jump(self, seconds: float, client: redis.Redis) -> None:
        """Move the clock forward, or back where that is negative, and wait until the server goes by it.

        A server may go by the time that it read last for another millisecond.

        Args:
            seconds: how far; some seconds at least.
            client: a client of the server.

        Raises:
            TimeoutError: the server's clock is not this one.
        """
        self.offset_s += seconds
        struct.pack_into("=q", self._shared, 0, round(self.offset_s * 1_000_000))
        deadline = time.monotonic() + SEEN_S
        while abs(client.time()[0] - time.time() - self.offset_s) > abs(seconds) / 2:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server's clock has not moved by {seconds:g} s")
