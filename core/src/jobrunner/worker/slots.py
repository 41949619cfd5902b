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
        poke: Called when slots have become free that this queue was refused.
    """

    def __init__(self, slots: Slots, priority: int, poke: Callable[[], None]) -> None:
        self._slots = slots
        self.priority = priority
        self.poke = poke
        self.hungry = False
        """Whether the queue had more jobs than it was given slots."""

    @property
    def free(self) -> int:
        """Slots that this queue may take now."""
        return self._slots.free_for(self)

    def take(self) -> bool:
        """Take a slot, if there is one."""
        return self._slots.take(self)

    def give(self) -> None:
        """Give a slot back."""
        self._slots.give()


class Slots:
    """The slots of a worker.

    Args:
        total: Jobs at once over all queues; None where only the queues' own concurrency bounds them.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._used = 0
        self._places: list[Place] = []

    def place(self, priority: int, poke: Callable[[], None]) -> Place:
        """A queue's claim."""
        place = Place(self, priority, poke)
        self._places.append(place)
        self._places.sort(key=lambda one: -one.priority)
        return place

    def free_for(self, place: Place) -> int:
        """Slots that a queue may take: none while a queue of higher priority waits for one."""
        if self.total is None:
            return 1 << 30
        if any(other.hungry and other.priority > place.priority for other in self._places):
            return 0
        return max(0, self.total - self._used)

    def take(self, place: Place) -> bool:
        """Take a slot, if there is one."""
        if self.total is None:
            return True
        if self._used >= self.total:
            place.hungry = True
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
