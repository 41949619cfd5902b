"""Sends the jobs of many schedules together, so that a thousand that are due at once take a few round trips.

It never decides what is due, nor what becomes of a schedule whose job was refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner.drafting import Draft
from jobrunner.errors import ConflictError, OutcomeUnknownError, QueueFullError, StoreUnavailableError
from jobrunner.producing import batches
from jobrunner.sync_client import SyncClient


class Sent(msgspec.Struct, frozen=True):
    """A job that was sent."""

    job_id: str
    """The job that is there for it: itself, or the one that has its unique key."""
    is_new: bool
    """False where it was there before."""


def send(client: SyncClient, drafts: Sequence[Draft]) -> dict[str, Sent | Exception]:
    """Send jobs of any queues, those of a queue in their order.

    Returns:
        By each job's id what became of it, or why it was refused. Where the store does not answer for one queue, the jobs of
        the queues after it are not sent and have no answer: to wait for each in turn would take minutes.
    """
    by_queue: dict[str, list[Draft]] = {}
    for draft in drafts:
        by_queue.setdefault(draft.queue, []).append(draft)
    answers: dict[str, Sent | Exception] = {}
    for queue in by_queue.values():
        for batch in batches(queue):
            answers |= _sent(client, batch)
            if isinstance(answers[batch[0].id], StoreUnavailableError | OutcomeUnknownError):
                return answers
    return answers


def _sent(client: SyncClient, batch: list[Draft]) -> dict[str, Sent | Exception]:
    ids = [draft.id for draft in batch]
    try:
        known = client.send_batch(batch)
    except (ConflictError, QueueFullError) as error:
        if len(batch) > 1:  # all of it was refused for some of it
            return {key: sent for draft in batch for key, sent in _sent(client, [draft]).items()}
        if isinstance(error, QueueFullError):
            return {ids[0]: error}
        known = {ids[0]: ids[0]}  # another keeper fired it with the payload as it was before it was changed
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this queue's trouble, and no other's
        return dict.fromkeys(ids, error)
    return {job_id: Sent(known.get(job_id, job_id), job_id not in known) for job_id in ids}
