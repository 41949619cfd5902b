"""One spell of work in a harness: the worker's own consumers, from when they begin until nothing is due.

Bounded: a job that makes work for ever ends the spell and not the test run's patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from jobrunner.clock import Clock
from jobrunner.events import JobStarted
from jobrunner.model import State
from jobrunner.store import calls, looks
from jobrunner.store.store import Store
from jobrunner.testing.crashing import MortalConsumer
from jobrunner.worker.attempt import Attempt

PAUSE_S = 0.001
"""Seconds between two looks at whether everything is done; a consumer does not say when it begins to idle."""

STOP_S = 1.0
"""Seconds that handlers get to end in where the spell itself is cancelled."""


class Shift:
    """A spell of work.

    Args:
        consumers: One a queue, new.
        store: The store.
        clock: The time.
        budget: Queue -> attempts that are begun at the most.
    """

    def __init__(
        self, consumers: Sequence[MortalConsumer], store: Store, clock: Clock, budget: Mapping[str, int]
    ) -> None:
        self.consumers = {consumer.queue.name: consumer for consumer in consumers}
        self.started = 0
        """Attempts that were begun."""
        self.spent: list[str] = []
        """Queues whose budget was used up."""
        self._store = store
        self._clock = clock
        self._left = dict(budget)
        self._woken = False

    async def work(self) -> None:
        """Work until nothing is due, or the budget is spent and what was begun has ended."""
        consumers = list(self.consumers.values())
        for consumer in consumers:
            if not self._left.get(consumer.queue.name):
                consumer.give_back()
        tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
        try:
            while not await self._is_over():
                for task in tasks:
                    if task.done():
                        task.result()  # a consumer ends by itself only when it is told to, or by an error
                await asyncio.sleep(PAUSE_S)
        except BaseException:
            await self._break_off(tasks)
            raise
        for consumer in consumers:
            consumer.give_back()
        await asyncio.gather(*tasks)

    def begun(self, event: JobStarted) -> None:
        """Count an attempt; told of each as it begins."""
        self.started += 1
        self._woken = False
        left = self._left[event.queue] = self._left.get(event.queue, 0) - 1
        if left <= 0:
            self.spent.append(event.queue)
            self.consumers[event.queue].give_back()

    def lose(self, attempt: Attempt) -> None:
        """An attempt's process was killed."""
        self.consumers[attempt.queue.name].lose(attempt)

    def wake(self) -> None:
        """There may be jobs: one was enqueued from outside, or the clock was moved."""
        self._woken = False
        for consumer in self.consumers.values():
            consumer.wake()

    async def heartbeat(self) -> None:
        """Renew the leases and learn which jobs are to stop, as the lease thread of a worker does."""
        for consumer in self.consumers.values():
            held = list(consumer.held.values())
            if not held:
                continue
            keys, lease_ms = self._store.keys(consumer.queue.name), int(consumer.queue.lease * 1000)
            answer = await self._store.run(
                calls.extend(keys, lease_ms, [(one.id, one.nonce) for one in held])
            )
            for attempt in held:
                if attempt.id in answer.cancelled:
                    consumer.cancel(attempt, answer.cancelled[attempt.id])
                elif attempt.id in answer.lost and not attempt.over:
                    consumer.lost(attempt)

    async def _is_over(self) -> bool:
        if not all(self._is_done(consumer) for consumer in self.consumers.values()):
            return False
        due = [
            consumer
            for consumer in self.consumers.values()
            if not consumer.stopping and await self._has_due(consumer)
        ]
        # What is still there after a look, and did not start, cannot: its queue is at the bound of `max_active`.
        if not due or self._woken:
            return True
        self._woken = True
        for consumer in due:
            consumer.wake()
        return False

    @staticmethod
    def _is_done(consumer: MortalConsumer) -> bool:
        if consumer.stopping:
            return not (consumer.held or consumer.running)
        return consumer.idle

    async def _has_due(self, consumer: MortalConsumer) -> bool:
        keys = self._store.keys(consumer.queue.name)
        counts = await self._store.run(calls.counts(keys))
        if counts.paused:
            return False
        if counts.waiting or not counts.delayed:
            return counts.waiting > 0
        first = await self._store.run(looks.page(keys, State.DELAYED, start=0, limit=1))
        return bool(first) and first[0][1] <= self._clock.time() * 1000

    async def _break_off(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for consumer in self.consumers.values():
            consumer.give_back()
            consumer.stop_running("the test ended")
        await asyncio.wait(tasks, timeout=STOP_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
