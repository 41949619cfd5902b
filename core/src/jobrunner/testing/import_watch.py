"""Loading a plugin in a process of its own, and watching what it does meanwhile.

Run by the contract as `python -m jobrunner.testing.import_watch`; reads what to load on standard input and says on
standard output what it saw. It hinders nothing while the plugin is loaded; handlers run only to be cancelled, with
stand-ins for their resources, and then every way outside is shut.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib
import inspect
import io
import os
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator

import msgspec

from jobrunner.declaration import payload_schema
from jobrunner.discovery import Found, load_module
from jobrunner.errors import JobrunnerError
from jobrunner.plugins import Plugin, from_object
from jobrunner.queue import Queue
from jobrunner.testing.cancel_watch import Verdict, watch_cancelling

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
    examples: dict[str, dict[str, object]] = {}
    """Queue -> a payload to try the handler with."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen.

    Attributes:
        effects: What loading did beside defining things, each as the end of a sentence.
        schemas: Queue -> JSON Schema of its payload, as this process made it.
        error: Why it cannot be loaded; empty where it can.
        late_errors: What handlers import when they run and cannot be imported, a sentence each.
        verdicts: Queue -> what became of cancelling its handler.
    """

    effects: list[str] = []
    schemas: dict[str, dict[str, object]] = {}
    error: str = ""
    late_errors: list[str] = []
    verdicts: dict[str, Verdict] = {}


class _Watch:
    """Takes note of audit events while it is open."""

    def __init__(self) -> None:
        self.open = False
        self.shut = False
        """Whether what goes outside is kept from it."""
        self.effects: dict[str, None] = {}

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.shut and (event in _TELLING or self._writes(event, arguments)):
            raise PermissionError(f"check_plugin lets nothing outside while it tries a handler ({event})")
        if not self.open:
            return
        if self._writes(event, arguments):
            self.effects[f"writes the file {arguments[0]!r}"] = None
        elif event in _TELLING:
            self.effects[_TELLING[event].format(*arguments)] = None

    @staticmethod
    def _writes(event: str, arguments: tuple[object, ...]) -> bool:
        if event != "open":
            return False
        path, _, flags = arguments
        writing = isinstance(flags, int) and flags & _WRITING != 0
        return writing and path != os.devnull and not isinstance(path, int)


def watch(asked: Asked) -> Seen:
    """Load a plugin and say what that did. Leaves an audit hook behind, so it needs a process of its own."""
    sys.dont_write_bytecode = True
    watching = _Watch()
    sys.addaudithook(watching)
    handlers, printed = _handlers(), io.StringIO()
    schemas: dict[str, dict[str, object]] = {}
    error = ""
    late: list[str] = []
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        watching.open = True
        try:
            plugin = from_object(load_module(asked.found), asked.found, asked.environ)
            late = [problem for queue in plugin.queues.values() for problem in _import_late(queue)]
        except JobrunnerError as problem:
            error = str(problem)
        finally:
            watching.open = False
    effects = [*watching.effects, *_left_behind(handlers, printed.getvalue())]
    if not error:
        schemas = {name: payload_schema(queue) for name, queue in plugin.queues.items()}
        verdicts = _cancelled(plugin, asked.examples, watching)
    else:
        verdicts = {}
    return Seen(effects=effects, schemas=schemas, error=error, late_errors=late, verdicts=verdicts)


def _import_late(queue: Queue) -> Iterator[str]:
    """Import what a handler imports when it runs: a worker does so with its first job, when it is too late to be told."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(queue.handler)))
    except (OSError, TypeError, SyntaxError):  # a handler without a source: there is nothing to be read
        return
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                modules = [module, *(f"{module}.{alias.name}" for alias in names)]
            case _:
                continue
        for name in modules:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                if error.name == name and name not in modules[:1]:  # `from package import function`
                    continue
                yield f"{queue.name}: its handler imports {name}, which is not there: {error}"
            except Exception as error:  # noqa: BLE001 - the plugin's own code runs here
                yield f"{queue.name}: its handler imports {name}, which fails: {type(error).__name__}: {error}"


def _cancelled(
    plugin: Plugin, examples: dict[str, dict[str, object]], watching: _Watch
) -> dict[str, Verdict]:
    """Cancel every handler that there is an example for."""
    verdicts: dict[str, Verdict] = {}
    loop = asyncio.new_event_loop()
    watching.shut = True
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for name, payload in examples.items():
                queue = plugin.queues[name]
                if queue.is_async:
                    verdicts[name] = loop.run_until_complete(watch_cancelling(queue, payload))
                else:
                    why = "it is a plain `def`, which can only be asked, by `job.cancelled`"
                    verdicts[name] = Verdict(skipped=why)
    finally:
        watching.shut = False
    return verdicts


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
