"""Crashes that a test asks for: at a place in an attempt its process is gone, and nothing of it runs on.

An attempt that dies is frozen where it stands and is let go of when the test is over; only then does its clean-up
run, since a process that was killed does none. Nothing here knows a store or decides what becomes of the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from jobrunner.errors import LeaseLostError
from jobrunner.outcome import Outcome
from jobrunner.queue import Queue
from jobrunner.worker.attempt import Attempt
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.desk import WorkerDesk
from jobrunner.worker.executor import Executor

ALONE, NAMED = ("start", "end"), ("step", "effect", "enqueue")
"""Places without and with a name of their own: `start`, and `step:upload`."""

GO_S = 1.0
"""Seconds that a frozen handler gets at the end of a test, to run the clean-up that its process would not have run."""

Died = Callable[[Attempt], None]


class Trap(msgspec.Struct, kw_only=True):
    """A crash that a test asked for.

    Attributes:
        where: The place.
        queue: The only queue that it is for; empty for all.
        left: How many attempts it is still to end.
        sprung: How many it ended.
    """

    where: str
    queue: str
    left: int
    sprung: int = 0


class Crashes:
    """The crashes of one test.

    Args:
        died: Told of each attempt that dies, before anything else runs.
    """

    def __init__(self, died: Died) -> None:
        self._died = died
        self._traps: list[Trap] = []
        self._frozen: list[tuple[Attempt, asyncio.Future[None]]] = []
        self._seen: dict[str, None] = {}

    def ask(self, where: str, *, queue: str = "", times: int = 1) -> None:
        """Ask for a crash.

        Args:
            where: `start`; `step:NAME`, right after that step was stored; `effect:NAME`, when it was done and is not
                stored; `enqueue:QUEUE`, after a job was enqueued there; `end`, with the handler's outcome untold.
            queue: The only queue that it is for; empty for all.
            times: How many attempts it ends.

        Raises:
            ValueError: There is no such place.
        """
        kind, colon, name = where.partition(":")
        if where not in ALONE and not (kind in NAMED and colon and name):
            places = ", ".join([*ALONE, *(f"{one}:NAME" for one in NAMED)])
            raise ValueError(f"{where!r} is no place to crash at; there are {places}")
        if times < 1:
            raise ValueError(f"times={times}: a crash happens once or more often")
        self._traps.append(Trap(where=where, queue=queue, left=times))

    async def reached(self, attempt: Attempt, where: str) -> None:
        """An attempt is at a place. Where it is to die, this never returns to it.

        Raises:
            LeaseLostError: It is dead already, and what runs is its clean-up at the end of the test.
        """
        if any(attempt is dead for dead, _ in self._frozen):
            raise LeaseLostError(f"job {attempt.id}: its process was killed, at the test's wish")
        self._seen[where] = None
        trap = next(
            (
                one
                for one in self._traps
                if one.left and one.where == where and one.queue in ("", attempt.queue.name)
            ),
            None,
        )
        if trap is None:
            return
        trap.left -= 1
        trap.sprung += 1
        ever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._frozen.append((attempt, ever))
        self._died(attempt)
        await ever

    def check(self) -> None:
        """See that every crash happened: one at a place that is misspelt tests nothing.

        Raises:
            AssertionError: One did not.
        """
        for trap in self._traps:
            if not trap.left:
                continue
            places = ", ".join(self._seen) or "none"
            times = "" if not trap.sprung else f" once more, after {trap.sprung}"
            raise AssertionError(f"no attempt came to {trap.where!r}{times}; they came to: {places}")

    async def let_go(self) -> None:
        """Let what is frozen end."""
        tasks = {attempt.task for attempt, _ in self._frozen if attempt.task is not None}
        for _, ever in self._frozen:
            ever.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GO_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def step_name(line: bytes) -> str:
    """The name in a step's line."""
    return msgspec.json.decode(line, type=tuple[str, msgspec.Raw])[0]


class MortalDesk(WorkerDesk):
    """A worker's desk at which attempts can die."""

    crashes: Crashes

    async def save_step(self, attempt: Attempt, line: bytes) -> None:
        """Store a step, unless the process is gone by then."""
        name = step_name(line)
        await self.crashes.reached(attempt, f"effect:{name}")
        await super().save_step(attempt, line)
        await self.crashes.reached(attempt, f"step:{name}")

    async def enqueue(
        self, attempt: Attempt, queue: str, payload: object, options: Mapping[str, object]
    ) -> str:
        """Enqueue a job of a job; the process may be gone right after."""
        job_id = await super().enqueue(attempt, queue, payload, options)
        await self.crashes.reached(attempt, f"enqueue:{queue}")
        return job_id


class MortalExecutor(Executor):
    """An executor whose attempts can die before and after their handler."""

    crashes: Crashes

    async def run(self, attempt: Attempt) -> Outcome:
        """Run one attempt to its end, if it comes to one."""
        await self.crashes.reached(attempt, "start")
        outcome = await super().run(attempt)
        if not attempt.over:  # what was frozen before is on its way out
            await self.crashes.reached(attempt, "end")
        return outcome


class MortalConsumer(Consumer):
    """A consumer that can lose an attempt, as it would if the process of that attempt alone were killed."""

    def lose(self, attempt: Attempt) -> None:
        """Forget an attempt: its lease is renewed and settled by nobody, and runs out."""
        attempt.over = True
        self.held.pop(attempt.id, None)
        self.running.discard(attempt)
        self._place.give()
        self.wake()


class LostLeases:
    """Jobs whose attempts died, until their leases have run out."""

    def __init__(self) -> None:
        self._lost: dict[str, set[str]] = {}

    def add(self, attempt: Attempt) -> None:
        """An attempt died."""
        self._lost.setdefault(attempt.queue.name, set()).add(attempt.id)

    def looks(self, queues: Mapping[str, Queue]) -> dict[str, float]:
        """Seconds between two looks for leases that ran out, by queue, where there is one to be expected.

        A third of a lease, as in a worker: whoever looks less often is taken for one that was cut off from the store.
        """
        return {name: queues[name].lease / 3 for name, ids in self._lost.items() if ids}

    def still(self, queue: str, active: set[str]) -> None:
        """Those of a queue that are still active; the others have come back, or ended."""
        self._lost[queue] &= active
