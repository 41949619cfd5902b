"""How many jobs a worker runs at once over all its queues, where that is bounded.

When slots are short the queue of higher priority goes first; each queue's own concurrency keeps it from taking
everything.
"""

from __future__ import annotations

from collections.abc import Callable


class Place:
    """A queue's claim on a worker's slots.

    Args:
        slots: The worker's slots.
        priority: The queue's priority.
        bound: Jobs of the queue at once.
        poke: Called when slots have become free that this queue was refused.
    """

    def __init__(self, slots: Slots, priority: int, bound: int, poke: Callable[[], None]) -> None:
        self._slots = slots
        self.priority = priority
        self._bound = bound
        self.poke = poke
        self._used = 0
        self._hungry = False

    @property
    def free(self) -> int:
        """Slots that this queue may take now."""
        return self._slots.free_for(self)

    @property
    def claim(self) -> int:
        """Slots that it would take if it could: none where it has no more jobs, or is full by its own bound."""
        return max(0, self._bound - self._used) if self._hungry else 0

    def take(self) -> bool:
        """Take a slot, if there is one."""
        if not self._slots.take():
            self._hungry = True
            return False
        self._used += 1
        return True

    def give(self) -> None:
        """Give a slot back."""
        self._used -= 1
        self._slots.give()

    def asked(self, *, has_more: bool) -> None:
        """The queue was asked for jobs: whether there are more than it was given slots."""
        was, self._hungry = self._hungry, has_more
        if was and not has_more:
            self._slots.poke_below(self)


class Slots:
    """The slots of a worker.

    Args:
        total: Jobs at once over all queues; None where only the queues' own concurrency bounds them.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._used = 0
        self._places: list[Place] = []

    def place(self, priority: int, bound: int, poke: Callable[[], None]) -> Place:
        """A queue's claim."""
        place = Place(self, priority, bound, poke)
        self._places.append(place)
        self._places.sort(key=lambda one: -one.priority)
        return place

    def free_for(self, place: Place) -> int:
        """Slots that a queue may take: what the queues of higher priority leave that have more jobs."""
        if self.total is None:
            return 1 << 30
        claimed = sum(other.claim for other in self._places if other.priority > place.priority)
        return max(0, self.total - self._used - claimed)

    def take(self) -> bool:
        """Take a slot, if there is one."""
        if self.total is None:
            return True
        if self._used >= self.total:
            return False
        self._used += 1
        return True

    def give(self) -> None:
        """Give a slot back, and let the queues that were refused try again, the most urgent first."""
        if self.total is None:
            return
        self._used -= 1
        for place in self._places:
            place.poke()

    def poke_below(self, place: Place) -> None:
        """Let the queues of lower priority try again: what this one had claimed is free."""
        if self.total is None:
            return
        for other in self._places:
            if other.priority < place.priority:
                other.poke()
