"""Processes for handlers that hold the CPU, kept for the next job, and for single jobs that may kill their process.

Either is killed when a handler does not end.

The parent renews the lease and writes to the store; a child only runs a handler and asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable

import msgspec

from jobrunner.errors import JobrunnerError, PluginError, WorkerLostError
from jobrunner.logs import Logs
from jobrunner.outcome import Outcome
from jobrunner.worker import pipe
from jobrunner.worker.attempt import STOP_WAIT_S, Attempt, Desk, Stop

APART = 4
"""Processes at once for single jobs that may kill theirs; further ones wait. One has its own copy of every plugin."""

START_S = 60.0
"""Seconds that a child may take to load its plugins."""


class Child:
    """One child process and the pipe to it."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer

    @property
    def alive(self) -> bool:
        """Whether it can be given a job."""
        return self.process.returncode is None and not self._reader.at_eof()

    def say(self, message: msgspec.Struct) -> None:
        """Send a message."""
        self._writer.write(pipe.frame(message))

    async def hear(self) -> pipe.ToParent:
        """The next message; EOFError where the child is gone."""
        return pipe.hear_child(await pipe.receive(self._reader))

    async def kill(self) -> int:
        """End it; its exit status."""
        self._writer.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        return await self.process.wait()


class ChildPool:
    """The child processes of a worker, by queue.

    Args:
        plugin_names: What the plugins were asked for by; None for all that are installed.
        desk: What jobs ask for things.
        logs: Where lines go; children write in the same way.
        worker_id: For log lines.
    """

    def __init__(self, plugin_names: tuple[str, ...] | None, desk: Desk, logs: Logs, worker_id: str) -> None:
        self._plugin_names = plugin_names
        self._desk = desk
        self._logs = logs
        self._worker_id = worker_id
        self._idle: dict[str, list[Child]] = {}
        self._apart = asyncio.Semaphore(APART)

    async def run(self, attempt: Attempt, begun: Callable[[], None]) -> Outcome:
        """Run an attempt in a child: one that is kept for the next, or one for this job alone, of which there are few.

        Args:
            attempt: The attempt.
            begun: Called when a child is there and is given the job.

        Raises:
            WorkerLostError: The child ended without an answer.
            PluginError: The child cannot load the plugins.
        """
        if attempt.queue.executor == "process":
            return await self._run(attempt, begun)
        async with self._apart:
            return await self._run(attempt, begun)

    async def _run(self, attempt: Attempt, begun: Callable[[], None]) -> Outcome:
        idle = self._idle.setdefault(attempt.queue.name, [])
        while idle and not idle[-1].alive:  # the system may end one at any time, and that is no job's crash
            await idle.pop().kill()
        child = idle.pop() if idle else await self._start(attempt.queue.name)
        begun()
        try:
            outcome = await self._converse(child, attempt)
        except EOFError:
            status = await child.kill()
            cause = f"by signal {-status}" if status < 0 else f"with status {status}"
            raise WorkerLostError(f"its process ended {cause}") from None
        except BaseException:  # cancelled: whatever it does, it does no more
            await child.kill()
            raise
        if attempt.queue.executor == "process":
            idle.append(child)
        else:  # it was for this job alone
            await child.kill()
        return outcome

    async def close(self) -> None:
        """End all children."""
        idle, self._idle = self._idle, {}
        for children in idle.values():
            for child in children:
                await child.kill()

    async def _start(self, queue: str) -> Child:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a `queue.py` in this folder must not stand in for Python's own
                "-m",
                "jobrunner.worker.child",
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
            )
        finally:
            theirs.close()
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=pipe.MAX_MESSAGE)
        child = Child(process, reader, writer)
        try:
            child.say(
                pipe.Hello(
                    plugins=self._plugin_names,
                    path=sys.path,
                    queue=queue,
                    log=msgspec.convert(self._logs.settings, pipe.LogWishes, from_attributes=True),
                    worker_id=self._worker_id,
                )
            )
            async with asyncio.timeout(START_S):
                ready = await child.hear()
            if isinstance(ready, pipe.Ready) and ready.error:
                raise PluginError(ready.error)
        except EOFError:
            status = await child.kill()
            raise WorkerLostError(f"its process ended with status {status} before it could begin") from None
        except BaseException:
            await child.kill()
            raise
        return child

    async def _converse(self, child: Child, attempt: Attempt) -> Outcome:
        assert attempt.record is not None
        record = attempt.record
        child.say(
            pipe.Run(
                id=attempt.id,
                nonce=attempt.nonce,
                record=msgspec.Raw(msgspec.json.encode(record)),
                counts=(attempt.counts.runs, attempt.counts.unspent, attempt.counts.crashes),
                plugin=attempt.plugin,
            )
        )
        while True:
            try:
                message = await child.hear()
            except asyncio.CancelledError:
                if attempt.stop is not Stop.CANCELLED:  # a deadline, or the end of the grace: no more waiting
                    raise
                child.say(pipe.StopIt(stop=attempt.stop.name, reason=attempt.cancel_reason or ""))
                async with asyncio.timeout(STOP_WAIT_S):
                    return await self._last_words(child, attempt)
            match message:
                case pipe.Done(outcome=outcome):
                    return outcome
                case pipe.Ask():
                    child.say(await self._answer(message, attempt))
                case pipe.Said(progress=progress, lines=lines):
                    self._note(attempt, progress, lines)
                case _:
                    continue

    async def _last_words(self, child: Child, attempt: Attempt) -> Outcome:
        """What a job that was cancelled still says."""
        while True:
            match await child.hear():
                case pipe.Done(outcome=outcome):
                    return outcome
                case pipe.Ask() as ask:
                    child.say(await self._answer(ask, attempt))
                case pipe.Said(progress=progress, lines=lines):
                    self._note(attempt, progress, lines)
                case _:
                    continue

    def _note(self, attempt: Attempt, progress: str, lines: list[str]) -> None:
        if progress:
            attempt.keep_progress(progress.encode())
        for line in lines:
            attempt.keep_line(line.encode("utf-8", "backslashreplace"))

    async def _answer(self, ask: pipe.Ask, attempt: Attempt) -> pipe.Answer:
        try:
            value: object = None
            match ask.what:
                case "load_steps":
                    steps = await self._desk.load_steps(attempt)
                    value = {name: msgspec.Raw(step) for name, step in steps.items()}
                case "save_step":
                    await self._desk.save_step(attempt, bytes(ask.argument))
                case "enqueue":
                    options = msgspec.structs.asdict(msgspec.json.decode(ask.argument, type=pipe.Wanted))
                    queue, payload = str(options.pop("queue")), options.pop("payload")
                    value = await self._desk.enqueue(attempt, queue, payload, options)
        except Exception as error:  # noqa: BLE001 - it is for the handler to see, and must not cost the child its life
            return _refusal(ask, error)
        return pipe.Answer(number=ask.number, value=msgspec.Raw(msgspec.json.encode(value)))


def _refusal(ask: pipe.Ask, error: Exception) -> pipe.Answer:
    """An error as the handler gets it: ours with what they know, others by their text."""
    kind = type(error).__name__
    if not isinstance(error, JobrunnerError):
        return pipe.Answer(number=ask.number, error_type="JobrunnerError", error=f"{kind}: {error}")
    return pipe.Answer(number=ask.number, error_type=kind, error=str(error), attributes=dict(vars(error)))
