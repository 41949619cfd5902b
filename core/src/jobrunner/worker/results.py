"""What became of attempts once the store has taken their outcomes: counted, and told to whoever listens.

Nothing here decides an outcome, and nothing is settled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobrunner.events import JobCompleted
from jobrunner.observers import Observers
from jobrunner.outcome import Completed, Failed, Released
from jobrunner.worker.settling import Ended, cancelled_instead, event_type, lease_lost, told


class Totals:
    """What a consumer has seen end."""

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.released = 0


class Results:
    """Counts and tells what a consumer's attempts came to.

    Args:
        observers: Who is told.
        worker_id: The worker's name, for events.
    """

    def __init__(self, observers: Observers, worker_id: str) -> None:
        self.totals = Totals()
        self._observers = observers
        self._worker_id = worker_id

    def settled(self, batch: Sequence[Ended], refused: Mapping[str, str]) -> None:
        """Count and tell a batch that an exchange has settled.

        Args:
            batch: The attempts and their outcomes.
            refused: The verdict of each job whose settlement was not taken as it was.
        """
        observers, totals = self._observers, self.totals
        tell_completed = observers.wants(JobCompleted)
        for attempt, outcome in batch:
            if type(outcome) is Completed and not refused:  # nearly all of them, at the highest rates
                totals.completed += 1
                if tell_completed:
                    observers.tell(told(attempt, outcome, self._worker_id, observers.now()))
                continue
            verdict = refused.get(attempt.id) if refused else None
            if verdict == "stale":
                observers.tell(lease_lost(attempt, self._worker_id, observers.now()))
                continue
            if verdict == "cancelled":
                observers.tell(cancelled_instead(attempt, self._worker_id, observers.now()))
                continue
            if isinstance(outcome, Completed):
                totals.completed += 1
            elif isinstance(outcome, Failed):
                totals.failed += 1
            elif isinstance(outcome, Released):
                totals.released += 1
            if observers.wants(event_type(outcome)):
                observers.tell(told(attempt, outcome, self._worker_id, observers.now()))
