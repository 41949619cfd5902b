"""Keys that are pressed while something is shown, each at once. Where there is no terminal to read, nothing happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Hand over each key that is pressed, and give the terminal back as it was.

    Args:
        pressed: Called on the running loop with the characters that came.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows: Ctrl-C still ends it
        yield
        return
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    number, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)  # a key at once and unseen; Ctrl-C stays a signal

    def read() -> None:
        try:
            text = os.read(number, 64).decode("utf-8", "replace")
        except OSError:  # the terminal is gone
            text = ""
        if not text:
            loop.remove_reader(number)
        pressed(text or "\x04")

    loop.add_reader(number, read)
    try:
        yield
    finally:
        loop.remove_reader(number)
        with contextlib.suppress(termios.error):  # as above
            termios.tcsetattr(number, termios.TCSADRAIN, before)
