"""The part of a worker that serves one queue: reserve, start, collect, settle, in one loop of exchanges.

One exchange is under way at a time. What ends meanwhile goes out with the next one, and an exchange whose
answer was lost is sent again as it was, so nothing is reserved or settled twice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from jobrunner.clock import Clock
from jobrunner.events import JobStarted, WorkerHandlerAbandoned
from jobrunner.observers import Observers
from jobrunner.outcome import Outcome, Released
from jobrunner.queue import Queue
from jobrunner.store.answers import Reserved
from jobrunner.store.calls import MAX_BATCH
from jobrunner.store.store import Store
from jobrunner.worker.asking import Asker
from jobrunner.worker.attempt import STOP_WAIT_S, Attempt, Desk, Stop
from jobrunner.worker.deadlines import Deadlines
from jobrunner.worker.executor import Executor
from jobrunner.worker.health import Health
from jobrunner.worker.intake import taken_in
from jobrunner.worker.pace import Pace
from jobrunner.worker.results import Results, Totals
from jobrunner.worker.settling import exchange_of, next_batch, started
from jobrunner.worker.slots import Slots
from jobrunner.worker.verdict import ended_by, timed

POLL_S = 5.0
"""Seconds after which an idle consumer looks by itself: the price of a wake-up that was lost."""

HELD_S = 0.25
"""Seconds that a reserved job may wait for a slot before it is given back for another worker."""


class Consumer:
    """Serves one queue.

    Args:
        queue: The queue.
        concurrency: Jobs at once.
        worker_id: Names the worker; it is the consumer's name in the store too.
        store: The store.
        executor: Runs attempts.
        desk: What attempts ask for things.
        slots: The worker's slots.
        health: Where failures of the store are noted.
        observers: Who is told.
        clock: The time.
        plugin: The plugin that declares the queue.
        flush: Writes an attempt's pending notes.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        concurrency: int,
        worker_id: str,
        store: Store,
        executor: Executor,
        desk: Desk,
        slots: Slots,
        health: Health,
        observers: Observers,
        clock: Clock,
        plugin: str = "",
        flush: Callable[[Attempt], Awaitable[None]] | None = None,
    ) -> None:
        self.queue = queue
        self.concurrency = concurrency
        self.held: dict[str, Attempt] = {}
        """Every job whose lease is ours: running, waiting for a slot, or not yet settled. Read by other threads."""
        self.running: set[Attempt] = set()
        self._results = Results(observers, worker_id)
        self.keep = queue.keep_completed.jobs
        self.abandoned = 0
        self.stopping = False
        self._worker_id = worker_id
        self._asker = Asker(queue.name, store, health, clock)
        self._executor = executor
        executor.on_left = self._left
        executor.on_begun = self._begun
        executor.on_back = self._came_back
        self._desk = desk
        self._place = slots.place(queue.priority, concurrency, self.poke)
        self._observers = observers
        self._clock = clock
        self.plugin = plugin
        self._flush = flush
        self._pace = Pace()
        self._serial = 0
        self._ready: deque[Attempt] = deque()
        self._ended: list[tuple[Attempt, Outcome]] = []
        self._news = asyncio.Event()
        self._look = True
        self._due_at: float | None = None
        self._deadlines = Deadlines(clock, self._time_out)
        self._listened = True
        self._is_limited = bool(
            queue.max_active_per_tenant or queue.rate_limit or queue.rate_limit_per_tenant
        )
        """Whether a job that is reserved ahead would take a slot or a start from another worker."""
        self._stuck = False
        """Whether what was reserved ahead had to be given back, and no job has ended since: averages say little then."""
        self.on_change: Callable[[], None] | None = None
        """Called before it waits, where it wants jobs and did not when somebody last looked, or the other way round."""

    # ---- what others tell it ---------------------------------------------------------------------------------

    def poke(self) -> None:
        """There may be something to do."""
        self._news.set()

    def wake(self) -> None:
        """There may be jobs in the store."""
        self._look = True
        self._news.set()

    def cancel(self, attempt: Attempt, reason: str) -> None:
        """Somebody asked the job to stop."""
        self._stop(attempt, Stop.CANCELLED, reason)

    def lost(self, attempt: Attempt) -> None:
        """The attempt's lease is not ours any more."""
        self._stop(attempt, Stop.LEASE_LOST, "the lease ran out, and the job is another worker's by now")

    def give_back(self) -> None:
        """Stop reserving, and give back what has not started."""
        self.stopping = True
        self._asker.stop()
        while self._ready:
            self._end(self._ready.popleft(), Released())
        self._news.set()

    def stop_running(self, reason: str) -> None:
        """Cancel what runs, to be given back with its attempt unspent."""
        for attempt in list(self.running):
            self._stop(attempt, Stop.SHUTDOWN, reason)

    @property
    def totals(self) -> Totals:
        """What has ended so far."""
        return self._results.totals

    @property
    def has_room(self) -> bool:
        """Whether it would start a job that came now."""
        return not self.stopping and self._room() > 0

    @property
    def listens(self) -> bool:
        """Whether it should be woken. Where other queues have all slots it should too, once: then it is the first to look when
        one is free, and not those that already know that they have more jobs.
        """
        return self.has_room or (not (self.stopping or self._look) and self._own_room() > 0)

    def shows_listening(self) -> bool:
        """As `listens`, for one who is to be told by `on_change` when that is not true any more."""
        self._listened = self.listens
        return self._listened

    @property
    def idle(self) -> bool:
        """Whether nothing is held, and the last look found nothing."""
        return not (self.held or self.running or self._look)

    # ---- the loop --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the queue until told to stop and nothing is held any more."""
        while not (self.stopping and not (self.held or self.running or self._ended)):
            if not self._ended and not (self._look and self._want() > 0):
                await self._wait()
                continue
            await self._exchange()

    async def _wait(self) -> None:
        self._news.clear()
        if self._ended:
            return
        if self.on_change is not None and self.listens != self._listened:
            self.shows_listening()
            self.on_change()
        wait = (
            POLL_S if self._due_at is None else min(POLL_S, max(0.0, self._due_at - self._clock.monotonic()))
        )
        if self._ready:
            wait = min(wait, HELD_S)
        try:
            async with asyncio.timeout(wait):
                await self._news.wait()
        except TimeoutError:
            self._look = True
            self._due_at = (
                None  # looked at with the next exchange; until there is a slot there is nothing to wait for
            )
            self._return_stuck()
        self._fill()

    def _own_room(self) -> int:
        return self.concurrency - len(self.running) - len(self._ready)

    def _room(self) -> int:
        return min(self._own_room(), self._place.free - len(self._ready))

    def _want(self) -> int:
        """Jobs to reserve now."""
        if self.stopping:
            return 0
        room = self._room()
        if self._place.free < self.concurrency:  # slots are short: nothing is held back from the other queues
            return max(0, min(room, MAX_BATCH))
        ahead = 0 if self._stuck or self._is_limited else self._pace.ahead(self.concurrency)
        return max(0, min(room + ahead, MAX_BATCH - len(self._ready)))

    async def _exchange(self) -> None:
        batch, self._ended = next_batch(self._ended)
        want = self._want()
        self._serial += 1
        begun = self._clock.monotonic()
        self._look = False  # a wake-up that comes while this is under way sets it again, and must not be lost
        try:
            request = exchange_of(
                batch,
                self.queue,
                consumer=self._worker_id,
                serial=self._serial,
                want=want,
                keep=self.keep,
                counters=self._pace.take_counters(),
            )
            answer = await self._asker.ask(request)
        except BaseException:
            self._look = True
            self._ended[:0] = batch  # said again with the next one; what was taken is answered 'already'
            raise
        if answer is None:  # the store remembers a later one: what that reserved will come back by its lease
            self._look = True
            self._ended[:0] = batch
            return
        now = self._clock.monotonic()
        self._pace.travelled(now - begun)
        for attempt, _ in batch:
            if self.held.get(attempt.id) is attempt:
                del self.held[attempt.id]
        self._results.settled(batch, answer.refused)
        self._look |= len(answer.jobs) >= want or answer.due_ms == 0
        if want:
            self._place.asked(has_more=len(answer.jobs) >= want)
        self._due_at = now + answer.due_ms / 1000 + 0.001 if answer.due_ms > 0 else None
        for job in answer.jobs:
            self._receive(job, request.nonce, answer.now_ms, begun)
        self._fill()

    # ---- jobs come in ----------------------------------------------------------------------------------------

    def _receive(self, job: Reserved, nonce: str, now_ms: int, held_since: float) -> None:
        attempt = taken_in(
            job, self.queue, self._desk, nonce=nonce, now_ms=now_ms, held_since=held_since, plugin=self.plugin
        )
        if not attempt.counts.runs:
            self._pace.waited(attempt.wait_ms)
        if zombie := self.held.get(job.id):  # its lease ran out here, and the job came back to us
            self.lost(zombie)
        self.held[job.id] = attempt
        self._ready.append(attempt)

    def _fill(self) -> None:
        """Start what has a slot."""
        while self._ready and len(self.running) < self.concurrency and self._place.take():
            self._start(self._ready.popleft())

    def _start(self, attempt: Attempt) -> None:
        if attempt.stop is not None:  # cancelled, or its lease lost, before it could start
            self._place.give()
            self._end(attempt, ended_by(attempt, asyncio.CancelledError()))
            return
        attempt.started_at = self._clock.monotonic()
        self.running.add(attempt)
        if self._observers.wants(JobStarted):
            self._observers.tell(started(attempt, self._worker_id, self._observers.now()))
        attempt.task = asyncio.create_task(self._run(attempt))
        if not self._executor.runs_apart(attempt):
            self._begun(attempt)

    def _begun(self, attempt: Attempt) -> None:
        """The handler begins: now, or when a process of its own is there."""
        attempt.started_at = now = self._clock.monotonic()
        attempt.deadline = now + self.queue.timeout
        self._deadlines.add(attempt)

    async def _run(self, attempt: Attempt) -> None:
        outcome = await self._executor.run(attempt)
        if attempt.over:  # it was left behind long ago
            self._came_back(attempt)
            return
        self._over(attempt)
        try:  # may take as long as the store does; nothing can stop the attempt meanwhile, or leave it behind
            if self._flush is not None and attempt.spoke:
                await self._flush(attempt)
        finally:
            self._ended_running(attempt, outcome)

    def _over(self, attempt: Attempt) -> None:
        """The handler has ended, or nobody waits for it any more: the outcome is known, and stands."""
        attempt.over = True
        attempt.ended_at = self._clock.monotonic()

    def _ended_running(self, attempt: Attempt, outcome: Outcome) -> None:
        self._stuck = False
        self._pace.ran(attempt.ended_at - attempt.started_at)
        self.running.discard(attempt)
        self._place.give()
        self._end(attempt, timed(outcome, attempt.duration_ms))
        self._fill()

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        self._ended.append((attempt, outcome))
        self._news.set()

    def _return_stuck(self) -> None:
        """Give back what has waited for a slot so long that another worker should have it."""
        late = self._clock.monotonic() - HELD_S
        while self._ready and self._ready[0].held_since < late:
            self._stuck = True
            self._end(self._ready.popleft(), Released())

    # ---- jobs are made to stop -------------------------------------------------------------------------------

    def _time_out(self, attempt: Attempt) -> None:
        reason = f"it ran longer than its queue's timeout of {self.queue.timeout:g} s"
        self._stop(attempt, Stop.TIMEOUT, reason)

    def _stop(self, attempt: Attempt, stop: Stop, reason: str) -> None:
        if attempt.stop is not None or attempt.over:
            return
        attempt.request_stop(stop, reason)
        if attempt not in self.running:
            return
        if attempt.never_begins:
            self._finish(attempt)
        else:
            wait = STOP_WAIT_S * 2 if self.queue.executor != "async" else STOP_WAIT_S
            asyncio.get_running_loop().call_later(wait, self._leave_behind, attempt)

    def _leave_behind(self, attempt: Attempt) -> None:
        """A handler that will not stop: its slot is used again, and its outcome is what it was stopped for."""
        if attempt.over:
            return
        self._left(attempt)
        self._finish(attempt)

    def _finish(self, attempt: Attempt) -> None:
        """End an attempt in its handler's place, as what it was stopped for."""
        self._over(attempt)
        self._ended_running(attempt, ended_by(attempt, asyncio.CancelledError()))

    def leave_all_behind(self) -> None:
        """Give back what did not stop when it was told to: the process is about to end."""
        for attempt in list(self.running):
            self._leave_behind(attempt)

    def _left(self, attempt: Attempt) -> None:
        self.abandoned += 1
        self._observers.tell(
            WorkerHandlerAbandoned(
                timestamp=self._observers.now(),
                worker_id=self._worker_id,
                queue=self.queue.name,
                job_id=attempt.id,
                abandoned=self.abandoned,
            )
        )

    def _came_back(self, _: Attempt) -> None:
        self.abandoned -= 1
