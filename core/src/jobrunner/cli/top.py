"""`jobrunner top`: looks at queues and workers again and again, until it is told to stop.

Here stands when to look, and what is printed in a pipe; `picture` draws what a terminal shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import click

from jobrunner.admin import Admin
from jobrunner.cli.output import print_json, printable, when
from jobrunner.cli.scene import Scene, asynchronous, pass_scene
from jobrunner.cli.seconds import Seconds
from jobrunner.errors import StoreError
from jobrunner.pulse import Pulse, QueuePulse, look, pulse
from jobrunner.views import WorkerView
from jobrunner.wording import span

T = TypeVar("T")


class Shown(Protocol):
    """Where looks are shown."""

    def show(self, found: Pulse) -> None:
        """Show a look."""

    def lost(self, error: StoreError) -> None:
        """Say that a look failed; the next may not."""


@click.command(
    epilog="Examples:  jobrunner top   |   jobrunner top publish.dispatch --every 5   |   "
    "jobrunner top --json --looks 2 | tail -n 1"
)
@click.argument("names", nargs=-1, metavar="[QUEUE]...")
@click.option(
    "--every",
    type=Seconds(0.1, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@click.option("--looks", type=click.IntRange(1), metavar="N", help="End after so many looks.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a look, for programs.")
@pass_scene
@asynchronous
async def top(scene: Scene, *, names: tuple[str, ...], every: float, looks: int | None, as_json: bool) -> int:
    """Watch queues and workers live: jobs by state, jobs a second, how the workers feel.

    At a terminal it draws a picture, and q or Ctrl-C ends it; elsewhere it prints lines. A store that goes away is waited
    for; exit status 3 if the last look failed.
    """
    stop = asyncio.Event()
    failed = False
    async with scene.admin() as admin:
        found = _looks(admin, names or None, every_s=every, most=looks, stop=stop)
        with _told_to_end(stop), _shown(scene, stop, every_s=every, most=looks, as_json=as_json) as shown:
            async for one in found:
                failed = isinstance(one, StoreError)
                if isinstance(one, StoreError):
                    shown.lost(one)
                else:
                    shown.show(one)
    return StoreError.exit_status if failed else 0


async def _looks(
    admin: Admin, names: Sequence[str] | None, *, every_s: float, most: int | None, stop: asyncio.Event
) -> AsyncIterator[Pulse | StoreError]:
    """Looks, or why one failed, until there were enough or `stop` is set.

    Raises:
        StoreError: The first look failed: that is a wrong address more often than an outage.
    """
    loop, before, taken = asyncio.get_running_loop(), None, 0
    while most is None or taken < most:
        begun = loop.time()
        try:
            now = await _unless(stop, look(admin, names))
        except StoreError as error:
            if before is None:
                raise
            yield error
        else:
            if now is None:
                return
            yield pulse(before, now)
            before = now
        taken += 1
        if taken == most:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, begun + every_s - loop.time()))
            return


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, T]) -> T | None:
    """What some work gives; None where `stop` came first: a store that hangs must not keep anybody from leaving."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        for one in (task, stopped):
            one.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


@contextlib.contextmanager
def _told_to_end(stop: asyncio.Event) -> Iterator[None]:
    """Let the signals that end a program end this one in order: what it drew is taken away again."""
    loop, taken = asyncio.get_running_loop(), []
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            number = getattr(signal, name)
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


def _shown(
    scene: Scene, stop: asyncio.Event, *, every_s: float, most: int | None, as_json: bool
) -> AbstractContextManager[Shown]:
    if as_json:
        return contextlib.nullcontext(JsonLines())
    if not sys.stdout.isatty():
        return contextlib.nullcontext(Lines())
    from jobrunner.cli.picture import Terminal

    # A picture that is to end by itself stays; one that is watched gives the terminal back as it was.
    return Terminal(str(scene.address), stop, every_s=every_s, whole_screen=most is None)


class JsonLines:
    """A JSON object a look; of one that failed, `at` by this machine's clock and `error`."""

    def show(self, found: Pulse) -> None:
        """Print a look."""
        print_json(found)

    def lost(self, error: StoreError) -> None:
        """Print why there is none."""
        print_json({"at": int(time.time() * 1000), "error": " ".join(str(error).split())})


class Lines:
    """A line a look in all, then one a queue and one a worker: `time what name key=value ...`."""

    def show(self, found: Pulse) -> None:
        """Print a look."""
        moment, totals = when(found.at), found.totals
        facts: dict[str, object] = {
            "waiting": totals.waiting,
            "delayed": totals.delayed,
            "active": totals.active,
            "completed": totals.completed,
            "failed": totals.failed,
            "parked": totals.parked,
            "completed/s": totals.completed_per_second,
            "failed/s": totals.failed_per_second,
            "oldest": _compact(totals.oldest_waiting_ms),
            "workers": totals.workers,
            "running": totals.running,
            "slots": totals.slots,
        }
        _print(moment, "all", "", facts)
        for queue in found.queues:
            _print(moment, "queue", queue.name, _of_queue(queue))
        for worker in found.workers:
            _print(moment, "worker", worker.id, _of_worker(worker))

    def lost(self, error: StoreError) -> None:
        """Print why there is none, beside what a program reads."""
        click.echo(f"{when(int(time.time() * 1000))} {' '.join(str(error).split())}", err=True)


def _of_queue(queue: QueuePulse) -> dict[str, object]:
    return {
        "waiting": queue.waiting,
        "delayed": queue.delayed,
        "active": queue.active,
        "completed": queue.completed,
        "failed": queue.failed,
        "cancelled": queue.cancelled,
        "parked": queue.parked,
        "held": queue.held,
        "completed/s": queue.completed_per_second,
        "failed/s": queue.failed_per_second,
        "oldest": _compact(queue.oldest_waiting_ms),
        "workers": queue.workers,
        "paused": "yes" if queue.paused else "no",
    }


def _of_worker(worker: WorkerView) -> dict[str, object]:
    return {
        "state": "silent" if not worker.alive else "stopping" if worker.stopping else "alive",
        "running": worker.running,
        "slots": sum(worker.queues.values()),
        "completed": worker.completed,
        "failed": worker.failed,
        "loop_lag_ms": worker.loop_lag_ms,
        "store_ms": worker.store_ms,
    }


def _print(moment: str, what: str, name: str, facts: dict[str, object]) -> None:
    words = [
        moment,
        what,
        name,
        *(f"{key}={'-' if value is None else value}" for key, value in facts.items()),
    ]
    click.echo(printable(" ".join(word for word in words if word)))


def _compact(ms: int | None) -> str:
    return span(ms).replace(" ", "") or "-"
