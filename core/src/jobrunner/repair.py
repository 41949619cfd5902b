"""Puts right what an audit finds: each job by a script that looks at it again, in bounded steps.

Nothing is taken from what was seen before: a job that is in its place by the time of the repair is left alone. It
may run while workers do; only the tally has to wait until nothing moves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import islice

from jobrunner.admin import Admin
from jobrunner.audit import Audit, Finding, Progress, audit, listed
from jobrunner.store import calls
from jobrunner.store.calls import MAX_BY_HAND

FIELDS = 300
"""Fields of the tally that one script sets."""

TRIES = 3
"""Times that the tally is counted while jobs move, before it is left as it is."""

_DONE = {
    "lined up": "jobs were in no list, and are in line again",
    "completed": "jobs were in no list and have a result, and are completed",
    "leased": "jobs were in no list while somebody had their lease, and are active again; they are recovered in a minute "
    "unless their worker goes on",
    "one list": "jobs were in several lists, and are in one",
    "unleased": "leases were of jobs that are not active, and are gone",
    "expired": "jobs were active without a lease, and can be taken over",
    "forgotten": "jobs had no record, and what was left of them is gone",
}
"""What was done, by the script's verdict."""


async def repair(admin: Admin, queue: str, progress: Progress = lambda *_: None) -> AsyncIterator[Finding]:
    """Audit a queue and put right what is wrong; what was done, a finding each, at the level `fixed`.

    Args:
        admin: The store.
        queue: The queue's name.
        progress: Told how far the audit is.

    Raises:
        StoreError: The store does not answer; what was done before stays done, and doing it again does no harm.
    """
    about = f"queue {queue}"
    found = await audit(admin, queue, progress)
    done: dict[str, list[str]] = {}
    for part in _parts(found.misplaced):
        answer = await admin.store.run(calls.repair(admin.store.keys(queue), part))
        for job_id, verdict in zip(part, answer.verdicts, strict=True):
            done.setdefault(verdict, []).append(job_id)
    for verdict, what in _DONE.items():
        if ids := done.get(verdict):
            yield Finding(level="fixed", about=about, text=f"{what}: {listed(ids)}")
    for entries in _held_parts(found.held):
        await admin.store.run(calls.repair(admin.store.keys(queue), [], held=entries))
    if found.held:
        text = f"entries that held jobs for a tenant stood for none, and are gone: {len(found.held):,}"
        yield Finding(level="fixed", about=about, text=text)
    if ended := await _end_leases(admin, found):
        text = (
            f"leases of workers that are gone were ended, and a worker takes their jobs over now: {ended:,}"
        )
        yield Finding(level="fixed", about=about, text=text)
    if found.misplaced or found.tally or found.moving:
        async for finding in _count_again(admin, queue, progress):
            yield finding


async def _end_leases(admin: Admin, found: Audit) -> int:
    keys, ended = admin.store.keys(found.queue), 0
    leases = iter(found.orphans.items())
    while part := list(islice(leases, MAX_BY_HAND)):
        ended += (await admin.store.run(calls.repair(keys, [], part))).ended
    return ended


async def _count_again(admin: Admin, queue: str, progress: Progress) -> AsyncIterator[Finding]:
    """Set the tally's fields that are off, where nothing moved while the jobs were counted."""
    about, keys = f"queue {queue}", admin.store.keys(queue)
    for _ in range(TRIES):
        found = await audit(admin, queue, progress)
        if found.moving:
            continue
        fields, done = iter(found.tally.items()), 0
        while part := dict(islice(fields, FIELDS)):
            done += await admin.store.run(calls.adjust(keys, part))
        if done:
            yield Finding(
                level="fixed", about=about, text=f"the counts by tenant were off: {listed(list(found.tally))}"
            )
        if done == len(found.tally):
            return
    text = "jobs move, so the counts by tenant cannot be checked; stop the workers, and run it again, if they look wrong"
    yield Finding(level="ok", about=about, text=text)


def _held_parts(entries: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [entries[start : start + MAX_BY_HAND] for start in range(0, len(entries), MAX_BY_HAND)]


def _parts(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + MAX_BY_HAND] for start in range(0, len(ids), MAX_BY_HAND)]
