"""From BullMQ's jobs to drafts that the target queue takes, or the reason why a job is none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from jobrunner.drafting import Draft
from jobrunner.errors import InvalidNameError, PayloadError
from jobrunner.sync_client import SyncClient
from jobrunner_bullmq import mapping
from jobrunner_bullmq.source import MAX_DATA, Seen, Standing, shown

STAYS = ("missing", "locked", "scheduler", "flow", "gone")
"""Verdicts of BullMQ's scripts for jobs that stay where they are, without being wrong."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A job that cannot go over as it is.

    Attributes:
        id: BullMQ's id, as people can read it.
        field: The payload's field, empty for the whole job.
    """

    id: str
    field: str
    problem: str

    def __str__(self) -> str:
        return f"job {self.id}: {self.field + ': ' if self.field else ''}{self.problem}"


class Maker:
    """Makes drafts of one target queue.

    Args:
        client: The producer.
        target: The queue.
        prefix: What BullMQ's keys begin with.
        queue: BullMQ's queue.
        tenant: Whose the jobs are, where their payload does not say.
        names: The names of the jobs that go over; empty for all.
    """

    def __init__(
        self,
        client: SyncClient,
        target: str,
        *,
        prefix: str,
        queue: str,
        tenant: str | None,
        names: Sequence[str],
    ) -> None:
        self.client = client
        self.target = target
        self._prefix = prefix
        self._queue = queue
        self._tenant = tenant
        self._names = {name.encode()[:1025] for name in names}

    def stays(self, seen: Seen) -> str | None:
        """Why a job is left to BullMQ; None where it goes over, or should and cannot."""
        if seen.verdict in STAYS:
            return seen.verdict
        return "name" if self._names and seen.name not in self._names else None

    def make(self, seen: Seen, standing: Standing) -> Draft | Problem:
        """Make a draft of a job that does not stay, or say what is wrong with it."""
        try:
            if seen.verdict == "large":
                raise PayloadError(
                    self.target, "", f"its data has {seen.size:,} bytes; more than {MAX_DATA:,} are not read"
                )
            options = mapping.options(self._prefix, self._queue, seen, standing, self._tenant)
            return self.client.draft(self.target, mapping.payload(self.target, seen), options)
        except PayloadError as error:
            return Problem(id=shown(seen.id), field=error.field, problem=error.problem)
        except InvalidNameError as error:
            return Problem(id=shown(seen.id), field="", problem=str(error))
