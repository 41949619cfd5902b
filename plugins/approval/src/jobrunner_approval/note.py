"""What is noted around the exchange that hands a mail over, so that a later run knows where it stands.

SMTP cannot be asked for a mail, so our own notes are all there is. Before the exchange a durable note says that it is
about to be made; after a certain refusal another one says that nothing came of it. A note without its end, left by a
lost answer or a dead worker, means that the mail may be out.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeVar

import msgspec

T = TypeVar("T")


class Step(Protocol):
    """A durable step: calls `make` the first time and returns what it gave; a later attempt gets the same."""

    async def __call__(self, name: str, make: Callable[[], Awaitable[T]], /) -> T:
        """Return the value of that name."""
        ...


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The note before it: in which run of the job."""

    run: int


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The note after it: whether it is certain that nothing came of it, or nobody knows."""

    how: Literal["nothing", "lost"]


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """A handover that is noted and about to be made.

    Args:
        name: The name of the note after it.
        lost: Handovers of earlier runs whose outcome nobody knows.
    """

    name: str
    lost: int

    async def withdraw(self, step: Step) -> None:
        """Note that nothing came of it."""
        await step(self.name, _nothing)


async def begin(step: Step, *, key: str, run: int) -> Handover:
    """Note that a mail is about to be handed over, and find out what earlier runs did.

    Args:
        step: The job's durable steps.
        key: Tells the mails of one job apart.
        run: This run's number, higher in each run of the job.

    Returns:
        The handover; its note is durable by then.
    """
    lost = 0

    async def begun() -> Begun:
        return Begun(run=run)

    for number in itertools.count(1):
        name = f"send-{number}"
        note = await step(f"{name}:{key}", begun)
        if note.run == run:
            return Handover(name=f"{name}-end:{key}", lost=lost)
        # The note is an earlier run's. That run wrote how it ended, or else it is written now: nobody knows.
        end = await step(f"{name}-end:{key}", _lost)
        lost += end.how == "lost"
    raise AssertionError("unreachable: the count has no end")


async def _nothing() -> Ended:
    return Ended(how="nothing")


async def _lost() -> Ended:
    return Ended(how="lost")
