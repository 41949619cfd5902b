"""The other end of `children`: a process that loads the plugins, then runs one handler at a time.

Run by the worker as `python -m jobrunner.worker.child FD PARENT`. It never talks to the store; what its jobs ask for
goes to the parent, and when the parent is gone it ends, at once where the kernel can see to it (Linux).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping

import msgspec

from jobrunner import errors
from jobrunner.codec import encode_json
from jobrunner.errors import JobrunnerError
from jobrunner.logs import Logger, Logs
from jobrunner.plugins import Plugins, load
from jobrunner.record import Counts, decode_record
from jobrunner.settings import Settings
from jobrunner.worker import pipe
from jobrunner.worker.attempt import Attempt, Stop
from jobrunner.worker.desk import attempt_logger
from jobrunner.worker.executor import Executor
from jobrunner.worker.resources import Resources
from jobrunner.worker.threads import Threads

PR_SET_PDEATHSIG = 1
"""Of Linux' `prctl`: the signal that this process gets when its parent dies."""


class PipeDesk:
    """The desk of a child: everything but resources and loggers is asked of the parent."""

    def __init__(
        self, writer: asyncio.StreamWriter, resources: Resources, logs: Logs, worker_id: str
    ) -> None:
        self._writer = writer
        self._resources = resources
        self._logs = logs
        self._worker_id = worker_id
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._asked: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._number = 0

    async def load_steps(self, attempt: Attempt) -> dict[str, bytes]:
        """The durable steps of earlier attempts."""
        del attempt
        steps = msgspec.json.decode(await self._ask("load_steps", None), type=dict[str, msgspec.Raw])
        return {name: bytes(value) for name, value in steps.items()}

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Store a step."""
        del attempt
        await self._ask("save_step", msgspec.Raw(line))

    async def enqueue(
        self, attempt: Attempt, queue: str, payload: object, options: Mapping[str, object]
    ) -> str:
        """Enqueue a job of a job."""
        del attempt
        wanted = {"queue": queue, "payload": msgspec.Raw(encode_json(queue, payload)), **options}
        return msgspec.json.decode(await self._ask("enqueue", wanted), type=str)

    def noted(self, attempt: Attempt) -> None:
        """Hand progress and lines to the parent; called on a plain handler's own thread too."""
        if threading.get_ident() == self._loop_thread:
            self._hand_over(attempt)
        else:  # the pipe is the loop's
            self._loop.call_soon_threadsafe(self._hand_over, attempt)

    def _hand_over(self, attempt: Attempt) -> None:
        progress, lines = attempt.take_notes()
        if progress is not None or lines:
            said = pipe.Said(progress=(progress or b"").decode(), lines=[line.decode() for line in lines])
            self._writer.write(pipe.frame(said))

    def resource(self, attempt: Attempt, kind: type[object]) -> object:
        """A resource of this process."""
        return self._resources.get(attempt.plugin, kind)

    def logger(self, attempt: Attempt) -> Logger:
        """A logger bound to the attempt."""
        return attempt_logger(self._logs, attempt, self._worker_id)

    def answered(self, answer: pipe.Answer) -> None:
        """Take the parent's answer."""
        future = self._asked.pop(answer.number, None)
        if future is None or future.done():
            return
        if answer.error_type:
            kind = getattr(errors, answer.error_type, JobrunnerError)
            error = JobrunnerError.__new__(kind if issubclass(kind, JobrunnerError) else JobrunnerError)
            Exception.__init__(error, answer.error)
            vars(error).update(answer.attributes)
            future.set_exception(error)
        else:
            future.set_result(answer.value)

    async def _ask(self, what: str, argument: object) -> msgspec.Raw:
        self._number += 1
        future: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._asked[self._number] = future
        raw = msgspec.Raw(msgspec.json.encode(argument))
        self._writer.write(pipe.frame(pipe.Ask(number=self._number, what=what, argument=raw)))
        return await future


async def serve(sock: socket.socket) -> None:
    """Run jobs until the parent is gone."""
    reader, writer = await asyncio.open_unix_connection(sock=sock, limit=pipe.MAX_MESSAGE)
    hello = pipe.hear_parent(await pipe.receive(reader))
    assert isinstance(hello, pipe.Hello)
    # Behind what is there, so that a module of Python's own is found before one of that name in the worker's folder.
    sys.path += [folder for folder in hello.path if folder not in sys.path]
    try:
        plugins = load(hello.plugins, os.environ, strict=hello.plugins is not None)
        queue = plugins.queue(hello.queue)
        handler = plugins.wrapped_handler(queue)
        settings = msgspec.convert(msgspec.to_builtins(hello.log), Settings)
        async with Resources(plugins, is_child=True) as resources:
            desk = PipeDesk(writer, resources, Logs(settings), hello.worker_id)
            executor = Executor(
                queue,
                handler,
                snoozed_ms=_not_asked,
                keyring=plugins.keyring,
                secrets=plugins.secrets(queue.name),
                threads=Threads("jobrunner-child"),
            )
            writer.write(pipe.frame(pipe.Ready()))
            await _run_jobs(reader, writer, executor, desk, plugins)
    except JobrunnerError as error:
        writer.write(pipe.frame(pipe.Ready(error=str(error))))
        await writer.drain()


async def _run_jobs(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    executor: Executor,
    desk: PipeDesk,
    plugins: Plugins,
) -> None:
    attempt: Attempt | None = None
    del plugins
    while True:
        match pipe.hear_parent(await pipe.receive(reader)):
            case pipe.Run() as run:
                attempt = Attempt(
                    executor.queue,
                    run.id,
                    run.nonce,
                    decode_record(bytes(run.record)),
                    Counts(*run.counts),
                    desk,
                    plugin=run.plugin,
                )
                attempt.started_at = time.monotonic()
                attempt.task = asyncio.create_task(_run_one(writer, executor, attempt))
            case pipe.StopIt(stop=stop, reason=reason):
                if attempt is None:
                    continue
                if executor.queue.is_async:
                    attempt.request_stop(Stop[stop], reason)
                else:  # a thread can only be asked; the parent ends this process if it does not listen
                    attempt.ask_to_stop(Stop[stop], reason)
            case pipe.Answer() as answer:
                desk.answered(answer)
            case _:
                continue


async def _run_one(writer: asyncio.StreamWriter, executor: Executor, attempt: Attempt) -> None:
    outcome = await executor.run(attempt)
    took = time.monotonic() - attempt.started_at
    writer.write(pipe.frame(pipe.Done(outcome=outcome, duration_s=took)))


async def _not_asked(_: Attempt) -> int:
    return 0


def _die_with(parent: int) -> None:
    """End with the parent, whatever a handler is doing: its job is another worker's soon, and must not run twice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the kernel was asked
        os._exit(0)


def main() -> None:
    """Serve the parent over the file descriptor that it named."""
    # The terminal's and the supervisor's signals are the parent's business: it tells us when to stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    _die_with(int(sys.argv[2]))
    sock = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(EOFError, ConnectionError):
        asyncio.run(serve(sock))
    os._exit(0)  # a handler's thread may hang, and nobody waits for it


if __name__ == "__main__":
    main()
