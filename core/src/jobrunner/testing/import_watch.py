"""Loading a plugin in a process of its own, and watching what it does meanwhile.

Run by the contract as `python -m jobrunner.testing.import_watch`; reads what to load on standard input and says on
standard output what it saw. It hinders nothing, and never runs a handler.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator

import msgspec

from jobrunner.declaration import payload_schema
from jobrunner.discovery import Found, load_module
from jobrunner.errors import JobrunnerError
from jobrunner.plugins import from_object

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC

_TELLING = {
    "socket.connect": "connects to {1!r}",
    "socket.bind": "listens on {1!r}",
    "socket.sendto": "sends to {1!r}",
    "socket.getaddrinfo": "looks up the host {0!r}",
    "socket.gethostbyname": "looks up the host {0!r}",
    "subprocess.Popen": "starts the program {0!r}",
    "os.system": "starts the program {0!r}",
    "os.posix_spawn": "starts the program {0!r}",
    "os.exec": "starts the program {0!r}",
    "os.fork": "forks",
    "os.mkdir": "makes the folder {0!r}",
    "os.remove": "removes {0!r}",
    "os.rename": "renames {0!r}",
    "os.rmdir": "removes the folder {0!r}",
    "os.putenv": "sets the environment variable {0!r}",
    "os.unsetenv": "removes the environment variable {0!r}",
}
"""Audit event -> what it means, with the event's own arguments."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to load."""

    found: Found
    environ: dict[str, str] = {}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen.

    Attributes:
        effects: What loading did beside defining things, each as the end of a sentence.
        schemas: Queue -> JSON Schema of its payload, as this process made it.
        error: Why it cannot be loaded; empty where it can.
    """

    effects: list[str] = []
    schemas: dict[str, dict[str, object]] = {}
    error: str = ""


class _Watch:
    """Takes note of audit events while it is open."""

    def __init__(self) -> None:
        self.open = False
        self.effects: dict[str, None] = {}

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.open:
            return
        if event == "open":
            path, _, flags = arguments
            if (
                isinstance(flags, int)
                and flags & _WRITING
                and path != os.devnull
                and not isinstance(path, int)
            ):
                self.effects[f"writes the file {path!r}"] = None
        elif event in _TELLING:
            self.effects[_TELLING[event].format(*arguments)] = None


def watch(asked: Asked) -> Seen:
    """Load a plugin and say what that did. Leaves an audit hook behind, so it needs a process of its own."""
    sys.dont_write_bytecode = True
    watching = _Watch()
    sys.addaudithook(watching)
    handlers, printed = _handlers(), io.StringIO()
    schemas: dict[str, dict[str, object]] = {}
    error = ""
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        watching.open = True
        try:
            plugin = from_object(load_module(asked.found), asked.found, asked.environ)
        except JobrunnerError as problem:
            error = str(problem)
        finally:
            watching.open = False
    effects = [*watching.effects, *_left_behind(handlers, printed.getvalue())]
    if not error:
        schemas = {name: payload_schema(queue) for name, queue in plugin.queues.items()}
    return Seen(effects=effects, schemas=schemas, error=error)


def _handlers() -> dict[int, object]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _left_behind(handlers: dict[int, object], printed: str) -> Iterator[str]:
    """What can be seen only afterwards."""
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            yield f"starts the thread {thread.name!r}"
    for number, handler in _handlers().items():
        if handler != handlers[number]:
            yield f"handles the signal {signal.Signals(number).name}"
    if printed.strip():
        yield f"prints {printed.strip().splitlines()[0][:200]!r}"


def main() -> None:
    """Load what standard input names."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    seen = watch(asked)
    sys.stdout.buffer.write(msgspec.json.encode(seen))
    sys.stdout.flush()
    os._exit(0)  # a thread that the plugin left running must not keep us


if __name__ == "__main__":
    main()
