"""Moves jobs over: takes some out of BullMQ, enqueues them, removes them there; and finishes what a run before it began.

The order is what makes it safe. A job is out of reach of BullMQ's workers before jobrunner has it, and BullMQ's record of it
goes only once jobrunner has it. Where a run ends in between, the job is noted as taken, and the next run enqueues it again
under the same id. Only a job that jobrunner has refused, in so many words, is given back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from jobrunner.drafting import Draft
from jobrunner.errors import ConflictError, QueueFullError
from jobrunner_bullmq.drafts import Maker, Problem
from jobrunner_bullmq.source import Listed, Note, Seen, Source, SourceError, Standing, shown
from jobrunner_bullmq.survey import Candidate, Survey

BATCH = 100
"""Jobs that are moved at once: as many are in neither queue for some ms."""

BATCH_BYTES = 2 << 20
"""Bytes of data that are moved at once, unless one job has more."""

SPAN = 5_000
"""Places of a list that a batch reaches over: it is searched for the jobs."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where jobs go, as it is noted with each that is taken: another run must not finish them elsewhere."""

    queue: str
    store: str
    """The store's address, without a password."""

    prefix: str
    tenant: str

    def __str__(self) -> str:
        tenant = f" for tenant {self.tenant}" if self.tenant else ""
        return f"{self.queue}{tenant} in {self.store} under {self.prefix}"


class Taken(msgspec.Struct, frozen=True):
    """A job that is taken out of BullMQ and ready to be enqueued."""

    id: bytes
    standing: Standing
    draft: Draft

    @property
    def job_id(self) -> str:
        """Its id in jobrunner."""
        return self.draft.id


class Tally:
    """What became of the jobs, by where they stood.

    Attributes:
        moved: Went over.
        known: Were in jobrunner before, with the same payload; removed from BullMQ.
        gone: Were no longer there when their turn came: BullMQ's workers had them.
        bad: Were refused when their turn came.
        problems: Why, for each.
        finished: Of those that runs before this one took, how many jobrunner has by now.
    """

    def __init__(self) -> None:
        self.moved: Counter[Standing] = Counter()
        self.known: Counter[Standing] = Counter()
        self.gone: Counter[Standing] = Counter()
        self.bad: Counter[Standing] = Counter()
        self.problems: list[Problem] = []
        self.finished = 0


class _Sent:
    """What became of jobs that were taken: `moved`, `known`, `refused` with the reason, and `unsent` where it is `full`."""

    def __init__(self, *, unsent: list[Taken]) -> None:
        self.moved: list[Taken] = []
        self.known: list[Taken] = []
        self.refused: list[tuple[Taken, str]] = []
        self.unsent = unsent
        self.full: QueueFullError | None = None

    def refuse(self, why: Mapping[str, str]) -> None:
        """Note jobs that jobrunner will not have: id there -> reason."""
        self.refused += [(one, why[one.job_id]) for one in self.unsent if one.job_id in why]
        self.unsent = [one for one in self.unsent if one.job_id not in why]


class Mover:
    """Moves what a survey found.

    Args:
        source: BullMQ's queue.
        maker: Makes drafts.
        target: Where to, as it is noted.
        wait: Seconds to wait for room in a queue that is full; None ends the run there.
        progress: Told how many more jobs are done with.
    """

    def __init__(
        self,
        source: Source,
        maker: Maker,
        target: Target,
        *,
        wait: float | None,
        progress: Callable[[int], None],
    ) -> None:
        self.tally = Tally()
        self._source = source
        self._maker = maker
        self._target = str(target)
        self._wait = wait
        self._progress = progress

    def unfinished(self) -> list[Note]:
        """The jobs that runs before this one took and did not finish.

        Raises:
            SourceError: They were to go elsewhere.
        """
        notes = self._source.unfinished()
        for note in notes:
            if note.target != self._target:
                raise SourceError(
                    f"job {shown(note.id)} and perhaps others were taken by a run to {note.target}, which did not end, "
                    f"and this one goes to {self._target}; run that one again first"
                )
        return notes

    def finish(self, unfinished: Sequence[Note]) -> None:
        """Enqueue and remove unfinished jobs. None of them is given back to BullMQ, since it may be enqueued.

        Raises:
            QueueFullError: The target has no room; the rest stays taken.
            StoreError: One of the servers does not serve; the rest stays taken.
        """
        notes = {note.id: note for note in unfinished}
        for start in range(0, len(notes), BATCH):
            ids = list(notes)[start : start + BATCH]
            sent = self._enqueue(list(self._claimed(ids, notes)))
            self.tally.finished += len(sent.known) + len(sent.moved)
            for one, why in sent.refused:
                self._problem(one.standing, one.id, f"{why}; a run took it, and it stays taken")
            if sent.full is not None:
                raise sent.full

    def move(self, survey: Survey) -> None:
        """Move the jobs of a survey, in their order.

        Raises:
            QueueFullError: The target has no room; what it refused is back in BullMQ.
            StoreError: One of the servers does not serve; what was taken last stays taken, for the next run.
        """
        for standing, candidates in survey.good.items():
            shift = 0
            for batch in _batches(candidates):
                shift, seen = self._source.take(standing, batch, shift, self._target)
                sent = self._enqueue(self._drafted(seen, standing))
                self.tally.moved[standing] += len(sent.moved)
                self.tally.known[standing] += len(sent.known)
                back = {one.id for one, _ in sent.refused} | {one.id for one in sent.unsent}
                self._source.put_back([job.id for job in batch if job.id in back])
                for one, why in sent.refused:
                    self._problem(standing, one.id, why)
                self._progress(len(batch))
                if sent.full is not None:
                    raise sent.full
                # The next ones are nearer to the front by those that went; what was given back is there again.
                shift += len(sent.moved) + len(sent.known)

    def _drafted(self, seen: Sequence[Seen], standing: Standing) -> list[Taken]:
        """Drafts of what was taken; what is none any more is given back."""
        taken: list[Taken] = []
        back: list[bytes] = []
        for one in seen:
            if one.verdict != "ok":
                self.tally.gone[standing] += 1
                continue
            made = self._maker.make(one, standing)
            if isinstance(made, Problem):
                back.append(one.id)
                self.tally.problems.append(made)
                self.tally.bad[standing] += 1
            else:
                taken.append(Taken(one.id, standing, made))
        self._source.put_back(back)
        return taken

    def _claimed(self, ids: Sequence[bytes], notes: Mapping[bytes, Note]) -> Iterator[Taken]:
        for seen in self._source.claim(ids):
            note = notes[seen.id]
            if seen.verdict == "missing":
                self._problem(note.standing, seen.id, "BullMQ's record of it was removed after a run took it")
            elif seen.verdict != "gone":
                made = self._maker.make(msgspec.structs.replace(seen, score=note.score), note.standing)
                if isinstance(made, Problem):
                    self._problem(
                        note.standing, seen.id, f"{made.problem}; a run took it, and it stays taken"
                    )
                else:
                    yield Taken(seen.id, note.standing, made)

    def _enqueue(self, taken: Sequence[Taken]) -> _Sent:
        """Enqueue jobs, and remove from BullMQ those that jobrunner has then."""
        sent = _Sent(unsent=list(taken))
        size = len(taken)
        while sent.unsent:
            batch = sent.unsent[:size]
            try:
                wait = self._wait if len(batch) == 1 else None
                known = self._maker.client.send_batch([one.draft for one in batch], wait=wait)
            except ConflictError as error:
                sent.refuse({own: _CONFLICT.format(own) for own in error.ids})
                continue
            except QueueFullError as error:
                if len(batch) == 1:
                    sent.full = error
                    return sent
                size = len(batch) // 2  # a queue that takes fewer in all than a batch has takes some
                continue
            sent.refuse({own: _UNIQUE.format(other) for own, other in known.items() if own != other})
            self._settle(
                [one for one in batch if known.get(one.job_id, one.job_id) == one.job_id], known, sent
            )
            size = min(len(taken), 2 * size)
        return sent

    def _settle(self, done: Sequence[Taken], known: Mapping[str, str], sent: _Sent) -> None:
        self._source.settle([one.id for one in done])
        for one in done:
            (sent.known if one.job_id in known else sent.moved).append(one)
        gone = {one.id for one in done}
        sent.unsent = [one for one in sent.unsent if one.id not in gone]

    def _problem(self, standing: Standing, one: bytes, why: str) -> None:
        self.tally.problems.append(Problem(id=shown(one), field="", problem=why))
        self.tally.bad[standing] += 1


_CONFLICT = "jobrunner has a job {} with another payload"
_UNIQUE = "its unique key is that of the job {}, which has not ended"


def _batches(candidates: Sequence[Candidate]) -> Iterator[list[Listed]]:
    """Cut what is to be moved into batches, by number and bytes."""
    batch: list[Listed] = []
    size = 0
    for one in candidates:
        if batch and (
            len(batch) >= BATCH or size + one.size > BATCH_BYTES or one.listed.place - batch[0].place > SPAN
        ):
            yield batch
            batch, size = [], 0
        batch.append(one.listed)
        size += one.size
    if batch:
        yield batch
