"""What both producers share: how a call is made, what its answer means, when it is sent again. It neither sends nor waits."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from jobrunner.backoff import reconnect_delay
from jobrunner.drafting import Draft, Options, Payload
from jobrunner.errors import ConflictError, JobrunnerError, OutcomeUnknownError, QueueFullError, StoreError
from jobrunner.events import JobEnqueued
from jobrunner.observers import Observers
from jobrunner.plugins import Plugins
from jobrunner.queuebook import QueueBook
from jobrunner.store import calls
from jobrunner.store.answers import Enqueued, EnqueuedOne
from jobrunner.store.calls import MAX_ENQUEUE
from jobrunner.store.store import Store, SyncStore

RESEND_S = 60.0
"""Seconds for which an enqueue is sent again; well under the 120 s for which a trimmed id is remembered."""

MAX_WAIT_S = 86_400.0
"""Seconds that a producer may wait for room."""

FIRST_PAUSE_S, PAUSE_S = 0.05, 1.0
"""Seconds between tries of a producer that waits for room: at first, and at the most."""

MAX_BATCH_BYTES = 4 << 20
"""Bytes that one batch of an `enqueue_many` sends at the most."""


LIMITED_S = 10.0
"""Seconds for which a queue is believed to have rules; an enqueue that asks in vain costs a round trip more."""


class BatchError(JobrunnerError):
    """An `enqueue_many` ended early. What went in before it stays in.

    Attributes:
        enqueued: How many jobs went in.
    """

    def __init__(self, cause: JobrunnerError, enqueued: int) -> None:
        super().__init__(f"{cause} ({enqueued:,} jobs went in before)")
        self.enqueued = enqueued
        self.exit_status = cause.exit_status  # type: ignore[misc]  # as the cause's


class Room:
    """How long a producer waits for a queue that is full.

    Args:
        wait: Seconds from now in all, 0 to a day; None does not wait.
        chance: The jitter's source: producers that wait together should not come back together.

    Raises:
        ValueError: It is not such a number.
    """

    def __init__(self, wait: float | None, chance: Callable[[], float] = random.random) -> None:
        number = isinstance(wait, (int, float)) and not isinstance(wait, bool)
        if wait is not None and not (number and 0 <= wait <= MAX_WAIT_S):
            raise ValueError(f"wait is 0 to {MAX_WAIT_S:g} seconds, not {wait!r}")
        self.waits = bool(wait)
        self._until = time.monotonic() + (wait or 0.0)
        self._pause = FIRST_PAUSE_S
        self._chance = chance

    def pause(self, full: QueueFullError) -> float:
        """Seconds until the next try; raises the error where there is no time left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise full
        pause = self._pause * (0.5 + self._chance() / 2)
        self._pause = min(PAUSE_S, self._pause * 1.5)
        return min(left, pause)


NO_WAIT = Room(None)
"""For those who do not wait: its time is over."""


class Producer:
    """What both clients share."""

    def __init__(self, plugins: Plugins, *, retry_for: float) -> None:
        self.plugins = plugins
        self._book = QueueBook(plugins)
        self._retry_for = retry_for
        self._limited: dict[str, float] = {}
        """Queue whose operators have made rules -> until when that is believed, by the monotonic clock."""
        self._observers = Observers(
            (plugin.name, function)  # type: ignore[misc]  # an implementation of jobrunner_event
            for plugin, function in plugins.implementing("jobrunner_event")
        )
        self._is_heard = self._observers.wants(JobEnqueued)

    def _answer(self, drafts: Sequence[Draft], answer: Enqueued) -> dict[str, str]:
        """The ids that were not taken in, each with the job that is there instead; raises what the store refused."""
        queue = drafts[0].queue
        if answer.status == "conflict":
            raise ConflictError(queue, answer.ids)
        if answer.status == "full":
            raise QueueFullError(
                queue, answer.waiting, answer.max_waiting, size=answer.bytes, max_size=answer.max_bytes
            )
        known = {job_id: job_id for job_id in answer.ids} | dict(answer.instead)
        if self._is_heard:
            self._tell(drafts, known)
        return known

    def _tell(self, drafts: Sequence[Draft], known: Mapping[str, str]) -> None:
        """Tell observers of jobs that are there now, some of them from before."""
        owner = self.plugins.owner(drafts[0].queue)
        for draft in drafts:
            self._observers.tell(
                JobEnqueued(
                    timestamp=self._observers.now(),
                    queue=draft.queue,
                    plugin=owner.name if owner else "",
                    job_id=known.get(draft.id, draft.id),
                    tenant=draft.tenant,
                    priority=draft.priority,
                    delay_ms=draft.delay_ms,
                    created=draft.id not in known,
                )
            )

    def _call_alone(self, store: Store | SyncStore, draft: Draft) -> calls.Call[EnqueuedOne] | None:
        """The short way in for one job; None where it is known not to do, for what the job asks or for its queue's rules."""
        if not draft.is_plain:
            return None
        queue = draft.queue
        if self._limited and time.monotonic() < self._limited.get(queue, 0.0):
            return None
        return calls.enqueue_one(store.keys(queue), draft)

    def _is_in(self, draft: Draft, answer: EnqueuedOne) -> bool:
        """Whether the short way led in; where it did not, the long way must be taken."""
        if answer == "taken":
            if self._is_heard:
                self._tell([draft], {})
            return True
        if answer == "limited":
            self._limited[draft.queue] = time.monotonic() + LIMITED_S
        return False

    def _call(self, store: Store | SyncStore, drafts: Sequence[Draft]) -> calls.Call[Enqueued]:
        queue = drafts[0].queue
        declared = self._book.declared(queue)
        return calls.enqueue(store.keys(queue), drafts, declared.max_waiting, declared.max_waiting_bytes)

    def _batches(self, queue: str, drafts: Iterable[Draft], room: Room) -> Iterator[list[Draft]]:
        """Batches of one queue; where the producer waits for room, none is larger than what the queue takes in all."""
        most = self._book.declared(queue).max_waiting if room.waits else 0
        return batches(drafts, most or MAX_ENQUEUE)

    def _drafts(
        self, queue: str, payloads: Iterable[Payload], options: Options, job_ids: Sequence[str] | None
    ) -> Iterator[Draft]:
        """Jobs of one queue: all are checked here and now, and each is made when its turn comes."""
        drafter = self._book.drafter(queue, options)
        if job_ids is None:
            return itertools.starmap(drafter.make, [drafter.check(payload) for payload in payloads])
        listed = list(payloads)
        if len(listed) != len(job_ids):
            raise ValueError(
                f"there are {len(listed)} payloads and {len(job_ids)} job ids; give one for each"
            )
        checked = [drafter.check(payload, job_id) for payload, job_id in zip(listed, job_ids, strict=True)]
        return itertools.starmap(drafter.make, checked)

    def _wait(self, error: StoreError, failures: int, begun: float) -> float:
        """Seconds until a call that failed is sent again; raises it where it has been for long enough."""
        if time.monotonic() - begun >= self._retry_for:
            raise error
        return 0.0 if failures == 1 and isinstance(error, OutcomeUnknownError) else reconnect_delay(failures)


def confirmed(answer: Enqueued, copies: int) -> Enqueued:
    """An answer whose writes a replica has.

    Raises:
        OutcomeUnknownError: None has confirmed them in time.
    """
    if answer.status == "ok" and not copies:
        raise OutcomeUnknownError(
            "unknown whether the job would survive its primary: no replica confirmed it in time; the primary has it, "
            "and sending it again with the same job id is safe"
        )
    return answer


def batches(drafts: Iterable[Draft], most: int = MAX_ENQUEUE) -> Iterator[list[Draft]]:
    """Cut a list into batches that the store takes: by number, `most` or `MAX_ENQUEUE`, and by bytes."""
    most = min(most, MAX_ENQUEUE)
    batch: list[Draft] = []
    size = 0
    for one in drafts:
        length = len(one.record)
        if batch and (len(batch) >= most or size + length > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += length
    if batch:
        yield batch
