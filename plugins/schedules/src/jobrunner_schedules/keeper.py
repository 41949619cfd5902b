"""Keeps schedules: looks what is due, fires it, and moves on. Any number of keepers may do so at once; none leads.

A slot's job has an id that names the slot, so firing it twice makes one job. It is fired first and the schedule moved on
after that: a keeper that dies in between leaves the slot to the next one, which finds the job there.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator

import msgspec

from jobrunner.backoff import reconnect_delay
from jobrunner.drafting import Draft
from jobrunner.errors import JobrunnerError
from jobrunner.events import Event
from jobrunner.store.answers import readable
from jobrunner.store.calls import MAX_ENQUEUE
from jobrunner.sync_client import SyncClient
from jobrunner_schedules import firing, rows
from jobrunner_schedules.book import Schedules, written
from jobrunner_schedules.rows import CHANGED_AT_ONCE, Due, Found, Row, ScheduleKeys, Standing
from jobrunner_schedules.sending import Sent, send
from jobrunner_schedules.trail import (
    KeeperBack,
    KeeperLost,
    ScheduleFailed,
    ScheduleFired,
    ScheduleMissed,
    ScheduleSkipped,
    now,
)

LOOK_S = 2.0
"""Seconds between two looks where nothing is due: a schedule that is made meanwhile and due before is so much late."""

AT_ONCE = 100
"""Schedules that one look brings."""

STALE_S = 20.0
"""Seconds after which what was read is read again: whoever was frozen meanwhile does not fire what others have moved on."""

RETRY_MS = (5_000, 300_000)
"""Milliseconds until a slot that could not be fired is tried again: from, doubled each time, to."""


class Turn(msgspec.Struct, frozen=True):
    """A schedule that is due, and what is to be done for it."""

    found: Found
    row: Row
    standing: Standing
    jobs: list[tuple[int, Draft]]
    """The slots that fire, in order, each with its job."""
    following: int | None
    """The next slot after them."""


class Keeper:
    """Keeps the schedules of a store until it is told to stop.

    Args:
        client: The producer that jobs are enqueued by; used on this keeper's thread only.
        tell: Takes events.
    """

    def __init__(self, client: SyncClient, tell: Callable[[Event], None]) -> None:
        self._client = client
        self._store = client.store
        self._keys = ScheduleKeys(client.store.prefix)
        self._schedules = Schedules(client)
        self._tell = tell
        self._stopping = False
        # An Event would do, but for signals: its lock may be held by the very code that a handler interrupts.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def run(self) -> None:
        """Keep them. What the store refuses is tried again; nothing but `stop` ends it."""
        failures, lost_at = 0, 0.0
        while not self._stopping:
            try:
                pause = self.step()
            except Exception as error:  # noqa: BLE001 - whatever it is, the schedules are kept on
                if not failures:
                    lost_at = time.monotonic()
                    self._tell(
                        KeeperLost(timestamp=now(), error_type=type(error).__name__, error=str(error)[:500])
                    )
                failures += 1
                self._rest(reconnect_delay(failures))
                continue
            if failures:
                self._tell(KeeperBack(timestamp=now(), outage_s=round(time.monotonic() - lost_at, 3)))
                failures = 0
            self._rest(pause)

    def stop(self) -> None:
        """End after what is under way. May be called from any thread, and from a signal's handler."""
        self._stopping = True
        self._bell.put(None)

    def step(self) -> float:
        """Look once, and fire what is due; the seconds until the next look.

        Raises:
            StoreError: The store cannot be reached.
        """
        begun = time.monotonic()
        due = self._store.run(rows.look(self._keys, AT_ONCE))
        if due.is_set_back:
            self._schedules.realign(due.now_ms)
            return 0.0
        for part in self._parts(due):
            if self._stopping or time.monotonic() - begun > STALE_S:
                return 0.0
            self._fire(part, due.now_ms)
        if due.found:
            return 0.0
        if due.next_ms is None:
            return LOOK_S
        passed = time.monotonic() - begun
        return min(LOOK_S, max(0.0, (due.next_ms - due.now_ms) / 1000 - passed))

    def _rest(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=seconds)

    def _parts(self, due: Due) -> Iterator[list[Turn]]:
        """What is to be done now, in parts of about as many jobs as one enqueue takes."""
        part: list[Turn] = []
        for found in due.found:
            turn = self._turn(found, due.now_ms)
            if turn is not None:
                part.append(turn)
            if sum(len(one.jobs) for one in part) >= MAX_ENQUEUE:
                yield part
                part = []
        if part:
            yield part

    def _turn(self, found: Found, now_ms: int) -> Turn | None:
        """What is to be done for a schedule; None where that cannot be said."""
        queue_name = ""
        standing = rows.read_standing(found)
        try:
            row = rows.read_row(found)
            queue_name = row.queue
            slots, following = firing.due(row, standing, now_ms)
            jobs = [(slot, self._schedules.draft_of(found.name, row, slot)) for slot in slots]
        except Exception as error:  # noqa: BLE001 - one schedule that is wrong never holds up the others
            # Nor does a queue whose part of the store is; where all of it is away, this cannot be written either.
            self._failed(found, queue_name, standing, now_ms, error)
            return None
        return Turn(found, row, standing, jobs, following)

    def _fire(self, part: list[Turn], now_ms: int) -> None:
        """Fire the slots of some schedules, and move them on after that."""
        sent = send(self._client, [draft for turn in part for _, draft in turn.jobs])
        moved = []
        for turn in part:
            standing = turn.standing
            if any(draft.id not in sent for _, draft in turn.jobs):
                continue  # the next look brings it again
            self._tell_missed(turn)
            for slot, draft in turn.jobs:
                # What was fired before a slot that cannot be is not fired again with it.
                standing = msgspec.structs.replace(standing, slot=slot)
                job = sent[draft.id]
                if isinstance(job, Exception):
                    self._failed(turn.found, turn.row.queue, standing, now_ms, job)
                    break
                standing = self._fired(turn, standing, draft, job, late_ms=max(0, now_ms - slot))
            else:
                standing = msgspec.structs.replace(standing, slot=turn.following, error="", failures=0)
                moved.append(written(self._keys, turn.found, (turn.row, standing)))
        for start in range(0, len(moved), CHANGED_AT_ONCE):
            # Where others were faster it is what they made of it; what they fired is what was fired here.
            self._store.run_many(moved[start : start + CHANGED_AT_ONCE])

    def _fired(self, turn: Turn, standing: Standing, draft: Draft, job: Sent, *, late_ms: int) -> Standing:
        """Tell of a slot that was fired; how far the schedule has come then."""
        name, queue_name, slot = turn.found.name, turn.row.queue, standing.slot or 0
        skipped = job.job_id != draft.id
        if skipped:
            self._tell(
                ScheduleSkipped(
                    timestamp=now(),
                    schedule=name,
                    queue=queue_name,
                    job_id=job.job_id,
                    slot=firing.stamp(slot),
                )
            )
        else:
            self._tell(
                ScheduleFired(
                    timestamp=now(),
                    schedule=name,
                    queue=queue_name,
                    job_id=job.job_id,
                    slot=firing.stamp(slot),
                    late_ms=late_ms,
                    created=job.is_new,
                )
            )
        return msgspec.structs.replace(standing, fired=slot, job=job.job_id, skipped=skipped)

    def _tell_missed(self, turn: Turn) -> None:
        """Tell of slots that are passed over: what is dropped without a word is looked for in vain."""
        first, next_slot = turn.standing.slot, turn.jobs[0][0] if turn.jobs else turn.following
        if first is not None and next_slot is not None and first < next_slot:
            self._tell(
                ScheduleMissed(
                    timestamp=now(),
                    schedule=turn.found.name,
                    queue=turn.row.queue,
                    slot=firing.stamp(first),
                    next_slot=firing.stamp(next_slot),
                )
            )

    def _failed(
        self, found: Found, queue_name: str, standing: Standing, now_ms: int, error: Exception
    ) -> None:
        """Leave a slot for later, and say why."""
        first, most = RETRY_MS
        delay = min(most, first * 2 ** min(standing.failures, 10))
        text = (
            str(error)[:500]
            if isinstance(error, JobrunnerError)
            else f"{type(error).__name__}: {error}"[:500]
        )
        after = msgspec.structs.replace(standing, error=text, failures=standing.failures + 1)
        call = rows.change(self._keys, found, found.row, msgspec.json.encode(after), now_ms + delay)
        if self._store.run(call):  # else another keeper has told it
            self._tell(
                ScheduleFailed(
                    timestamp=now(),
                    schedule=readable(found.name),
                    queue=queue_name,
                    error_type=type(error).__name__,
                    error=text,
                    failures=after.failures,
                    delay_ms=delay,
                )
            )
