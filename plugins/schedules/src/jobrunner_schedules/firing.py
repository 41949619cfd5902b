"""Which slots of a schedule fire now, and what their jobs are. Pure, so any keeper comes to the same."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from itertools import islice

import msgspec

from jobrunner.drafting import Options
from jobrunner_schedules.rows import Row, Standing

MAX_AT_ONCE = 100
"""Slots that are made up for before others have their turn, where all of them are."""

LATE_MS = 60_000
"""Milliseconds for which a slot is not missed yet, where none is made up for: a restart of the one worker takes less."""

NAME_HEADER = "schedule"
SLOT_HEADER = "schedule-slot"
"""Headers of a job that a schedule made: the schedule's name, and the slot as 2026-11-29T21:30:00Z."""


def due(row: Row, standing: Standing, now_ms: int) -> tuple[list[int], int | None]:
    """The slots that fire now, in order, and the slot that is next after them.

    Args:
        row: The schedule.
        standing: How far it has come.
        now_ms: The store's time.
    """
    plan = row.timing.plan
    if standing.slot is None:
        return [], plan.after(now_ms)
    if standing.slot > now_ms:
        return [], standing.slot
    if row.missed == "all":
        slots = list(islice(plan.slots(standing.slot, now_ms), MAX_AT_ONCE))
        return slots, plan.after(slots[-1] if slots else now_ms)
    last = plan.last(standing.slot, now_ms)
    fires = last is not None and (row.missed == "last" or now_ms - last <= LATE_MS)
    return ([last] if last is not None and fires else []), plan.after(now_ms)


def options(name: str, row: Row, slot: int | None) -> Options:
    """What is said of a slot's job beside its payload; None for one that is fired by hand.

    Its id names schedule and slot, so any number of keepers that fire the slot make one job of it.
    """
    usual = Options(headers={NAME_HEADER: name}, priority=row.priority, tenant=row.tenant or None)
    if slot is None:
        return usual
    late = jitter_ms(name, row, slot)
    return msgspec.structs.replace(
        usual,
        job_id=f"{name}.{moment(slot):%Y%m%dT%H%M%SZ}",
        at=moment(slot + late) if late else None,
        headers={NAME_HEADER: name, SLOT_HEADER: stamp(slot)},
    )


def stamp(slot: int) -> str:
    """A slot as jobs and the log name it, such as 2026-11-29T21:30:00Z."""
    return f"{moment(slot):%Y-%m-%dT%H:%M:%SZ}"


def moment(ms: int) -> datetime:
    """A time of the store."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def unique(name: str) -> str:
    """The key that a schedule's jobs have where they may not overlap."""
    return f"schedule {name}"


def jitter_ms(name: str, row: Row, slot: int) -> int:
    """Milliseconds that a slot's job waits; the same whoever works it out, and evenly spread over schedules and slots."""
    if not row.jitter:
        return 0
    number = int.from_bytes(hashlib.blake2b(f"{name} {slot}".encode(), digest_size=8).digest(), "big")
    return number % (1000 * row.jitter)
