"""Schedules as programs and people change them. Everything is checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec

from jobrunner.drafting import Draft, Options
from jobrunner.errors import JobrunnerError, OutcomeUnknownError, PayloadError
from jobrunner.record import Record, decode_record
from jobrunner.showing import masked_payload
from jobrunner.store.answers import readable
from jobrunner.store.calls import Call, server_ms
from jobrunner.sync_client import SyncClient
from jobrunner_schedules import firing, rows
from jobrunner_schedules.errors import ChangedMeanwhileError, ScheduleError, UnknownScheduleError
from jobrunner_schedules.rows import Found, Row, ScheduleKeys, Standing
from jobrunner_schedules.schedule import Schedule, check_name, checked

T = TypeVar("T")

MAX_SCHEDULES = 100_000
"""Schedules that one store takes."""

KEPT_MS = 60_000
"""Milliseconds for which it is believed that somebody who looked keeps the schedules."""

TRIES = 20
"""How often a change is tried again that others were faster than."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A schedule as it is shown; one that cannot be read has a name and an error."""

    name: str
    queue: str = ""
    payload: object = None
    """With its secrets masked."""
    cron: str = ""
    every: str = ""
    timezone: str = ""
    missed: str = ""
    overlap: str = ""
    jitter: int = 0
    priority: int | None = None
    tenant: str = ""
    paused: bool = False
    next_at: int | None = None
    """The next slot, in ms since 1970; None where it is paused, or has none any more."""
    last_at: int | None = None
    """The last slot that fired."""
    last_job: str = ""
    """Its job; where it was skipped, the one that had not ended."""
    skipped: bool = False
    error: str = ""
    """Why the next slot could not be fired so far, or why the schedule cannot be read; empty where nothing is wrong."""


class Schedules:
    """The schedules of a store. Thread-safe; those who await call it through `asyncio.to_thread`.

    Args:
        client: The producer, by which payloads are checked.

    Every method raises `StoreError` where the store cannot be reached.
    """

    def __init__(self, client: SyncClient) -> None:
        self._client = client
        self._store = client.store
        self._keys = ScheduleKeys(client.store.prefix)

    def put(self, name: str, schedule: Schedule) -> bool:
        """Make a schedule, or change the one of that name. What is paused stays paused.

        The next slot is kept where the times are the same, so putting the same again, as at each deploy, misses nothing.

        Returns:
            Whether there was none of that name.

        Raises:
            ScheduleError: It is wrong; the error names the field.
            PayloadError: The payload does not fit the queue.
            UnknownQueueError: No plugin declares the queue and no worker has served it.
        """
        row = self.row_of(name, schedule)
        plan = schedule.plan

        def put(was: Found, now_ms: int) -> tuple[Row, Standing]:
            if not was.is_there:
                if self._store.run(rows.number(self._keys)) >= MAX_SCHEDULES:
                    raise ScheduleError(name, "", f"there are {MAX_SCHEDULES:,} schedules; remove some first")
                return row, Standing(slot=plan.after(now_ms))
            before, standing = rows.read(was)
            if (before.cron, before.every, before.timezone) != (row.cron, row.every, row.timezone):
                standing = msgspec.structs.replace(standing, slot=plan.after(now_ms))
            return row, msgspec.structs.replace(standing, error="", failures=0)

        return not self._change(name, put).is_there

    def pause(self, name: str) -> None:
        """Fire no more until it is resumed; `UnknownScheduleError` where there is none."""

        def pause(was: Found, _: int) -> tuple[Row, Standing]:
            row, standing = self._there(was)
            return row, msgspec.structs.replace(standing, paused=True)

        self._change(name, pause)

    def resume(self, name: str) -> None:
        """Go on with the next slot from now; what fell into the pause is not made up for."""

        def resume(was: Found, now_ms: int) -> tuple[Row, Standing]:
            row, standing = self._there(was)
            if not standing.paused:
                return row, standing
            slot = row.timing.plan.after(now_ms)
            return row, msgspec.structs.replace(standing, paused=False, slot=slot, error="", failures=0)

        self._change(name, resume)

    def remove(self, name: str) -> None:
        """Remove it; jobs that it made stay. `UnknownScheduleError` where there is none."""

        def remove(was: Found, _: int) -> None:  # what cannot be read, too
            if not was.is_there:
                raise UnknownScheduleError(name)

        self._change(name, remove)

    def fire(self, name: str) -> tuple[str, bool]:
        """Enqueue its job now, apart from its slots.

        Returns:
            The job's id, and whether it is new: where it may not overlap, the one that has not ended is given.
        """
        found = self._found(name)
        row, _ = self._there(found)
        job = self.draft_of(name, row, None)
        known = self._client.send_batch([job])
        return known.get(job.id, job.id), job.id not in known

    def realign(self, now_ms: int) -> None:
        """Let every schedule go on with its first slot from now, if it waits for a later one. A keeper does so by itself.

        Once the store's clock is set back, a schedule would stand still until the clock is there again. Slots that have fired
        before fire again by this, and find their jobs there.

        Args:
            now_ms: The time where the schedules are: nodes of a cluster may differ, and a later one would look like a clock
                that was set back again.
        """
        changes = []
        for found in self._everything():
            try:
                row, standing = self._there(found)
                following = row.timing.plan.after(now_ms)
            except JobrunnerError:
                continue  # removed since, or of the kind that fires nothing
            if standing.slot is None or following is None or standing.slot > following:
                standing = msgspec.structs.replace(standing, slot=following)
            changes.append(written(self._keys, found, (row, standing)))
        for start in range(0, len(changes), rows.CHANGED_AT_ONCE):
            # Where others were faster, they went by the new time.
            self._store.run_many(changes[start : start + rows.CHANGED_AT_ONCE])
        self._store.run(rows.heard(self._keys, now_ms))

    def check_known(self, names: Sequence[str]) -> None:
        """Raise `UnknownScheduleError` for the first of some names that no schedule has."""
        for found in self._store.run_many([rows.get(self._keys, name) for name in names]):
            if not found.is_there:
                raise UnknownScheduleError(found.name)

    def get(self, name: str) -> Kept:
        """One schedule; `UnknownScheduleError` where there is none."""
        return self._shown(self._found(name))

    def all(self) -> list[Kept]:
        """All schedules, by name. Of what cannot be read there are the name and the error."""
        return [shown for found in self._everything() if (shown := self._readable(found))]

    def names(self) -> list[str]:
        """The names of all schedules, in order."""
        names: set[str] = set()
        cursor = "0"
        while True:
            cursor, page = self._store.run(rows.scan(self._keys, cursor))
            names.update(page)
            if cursor == "0":
                return sorted(names)

    def kept_at(self) -> int | None:
        """When somebody who keeps the schedules last looked, in ms since 1970; None where nobody did for a minute."""
        last = self._store.run(rows.kept(self._keys))
        return last if last is not None and self.now_ms() - last < KEPT_MS else None

    def now_ms(self) -> int:
        """The store's time, in ms since 1970."""
        return self._store.run(server_ms())

    def row_of(self, name: str, schedule: Schedule) -> Row:
        """Check a schedule and its payload, and make what is stored of it; raises as `put`."""
        checked(name, schedule)
        options = Options(job_id=check_name(name), tenant=schedule.tenant or None, priority=schedule.priority)
        draft = self._client.draft(schedule.queue, schedule.payload, options)
        return Row(
            queue=schedule.queue,
            record=msgspec.Raw(b"[" + draft.record),
            cron=schedule.cron,
            every=schedule.every,
            timezone=schedule.timezone,
            missed=schedule.missed,
            overlap=schedule.overlap,
            jitter=schedule.jitter,
            priority=schedule.priority,
            tenant=schedule.tenant,
        )

    def draft_of(self, name: str, row: Row, slot: int | None) -> Draft:
        """A slot's job, ready to be sent; None for one that is fired by hand.

        Where it may not overlap it has a unique key: the queue's own, if its payload has one, else its schedule's. The payload
        is the same each time, so either is that of the job before; and a queue that has one job at a time for a key has no more
        of them through a schedule.

        Raises:
            JobrunnerError: What is stored is no job of the queue, or the queue is not known.
        """
        payload, options = self.payload_of(name, row), firing.options(name, row, slot)
        draft = self._client.draft(row.queue, payload, options)
        if row.overlap == "allow" or draft.unique:
            return draft
        options = msgspec.structs.replace(options, unique=firing.unique(name))
        return self._client.draft(row.queue, payload, options)

    def payload_of(self, name: str, row: Row) -> dict[str, object]:
        """The payload of a schedule's jobs, in clear.

        Raises:
            MissingKeyError: It was sealed with a key that is not here.
            PayloadError: It was changed, or is no payload.
        """
        record = self._client.plugins.keyring.opened(_record(row), row.queue, name)
        try:
            return msgspec.json.decode(record.payload, type=dict[str, object])
        except msgspec.MsgspecError:
            raise PayloadError(row.queue, "", "what is stored is no payload") from None

    def _found(self, name: str) -> Found:
        return self._store.run(rows.get(self._keys, name))

    def _everything(self) -> Iterator[Found]:
        names = self.names()
        for start in range(0, len(names), 200):
            yield from self._store.run_many(
                [rows.get(self._keys, name) for name in names[start : start + 200]]
            )

    def _readable(self, found: Found) -> Kept | None:
        if not found.is_there:  # removed since its name was read
            return None
        try:
            return self._shown(found)
        except JobrunnerError as error:
            return Kept(name=readable(found.name), error=str(error))

    def _shown(self, found: Found) -> Kept:
        row, standing = self._there(found)
        owner = self._client.plugins.owner(row.queue)
        queue = owner.queues[row.queue] if owner else None
        try:
            record = self._client.plugins.keyring.opened(_record(row), row.queue, found.name)
            payload = masked_payload(record, queue)
        except JobrunnerError as error:
            payload = f"*** ({error})"
        return Kept(
            name=readable(found.name),
            queue=row.queue,
            payload=payload,
            cron=row.cron,
            every=row.every,
            timezone=row.timezone,
            missed=row.missed,
            overlap=row.overlap,
            jitter=row.jitter,
            priority=row.priority,
            tenant=row.tenant,
            paused=standing.paused,
            next_at=None if standing.paused else standing.slot,
            last_at=standing.fired,
            last_job=standing.job,
            skipped=standing.skipped,
            error=standing.error,
        )

    def _there(self, found: Found) -> tuple[Row, Standing]:
        if not found.is_there:
            raise UnknownScheduleError(found.name)
        return rows.read(found)

    def _change(self, name: str, how: Callable[[Found, int], tuple[Row, Standing] | None]) -> Found:
        """Change a schedule as `how` says; it is asked again where others were faster. Returns what was there before."""
        for _ in range(TRIES):
            was = self._found(name)
            wanted = how(was, self.now_ms())
            try:
                if self._store.run(written(self._keys, was, wanted)):
                    return was
            except OutcomeUnknownError:
                continue  # the next look tells
        raise ChangedMeanwhileError(name)


def written(keys: ScheduleKeys, was: Found, wanted: tuple[Row, Standing] | None) -> Call[bool]:
    """The call that makes a schedule what it should be; None removes it."""
    if wanted is None:
        return rows.change(keys, was, b"", b"", None)
    row, standing = wanted
    due = None if standing.paused else standing.slot
    return rows.change(keys, was, msgspec.json.encode(row), msgspec.json.encode(standing), due)


def _record(row: Row) -> Record:
    return decode_record(b"[0," + bytes(row.record)[1:])
