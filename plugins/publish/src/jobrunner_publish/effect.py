"""What is noted around the one call that makes a post visible, so that a later attempt knows where it stands.

Before the call a durable note says that it is about to be made, and after a certain refusal another one says
that nothing came of it. A note without its end, left by a lost answer or a dead worker, means that the post
may be there. Notes are written once and never changed; nothing here calls a platform by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Literal, Protocol, TypeVar

import msgspec

from jobrunner_publish.failures import AnswerLostError, PublishError

T = TypeVar("T")


class Remember(Protocol):
    """A durable step: calls `make` the first time and returns what it gave; a later attempt gets the same.

    The return annotation of `make` says how the value is read back; a name is used once an attempt.
    """

    async def __call__(self, name: str, make: Callable[[], Awaitable[T]], /) -> T:
        """Return the value of that name."""
        ...


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The note before the call: when, in Unix time, and in which run of the job."""

    at: float
    run: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The note after it: whether it is certain that nothing came of it, or nobody knows."""

    how: Literal["nothing", "lost"]


class Effect:
    """The call that makes a post visible, in this attempt; made by `begin`.

    Attributes:
        lost_at: Unix time of the first call whose outcome nobody knows, made by an earlier attempt; None if
            there is none, and so the post cannot be there by our doing.
    """

    def __init__(self, remember: Remember, *, name: str, lost_at: float | None) -> None:
        self._remember = remember
        self._name = name
        self.lost_at = lost_at

    async def make(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call.

        Args:
            call: Sends the request; raises what `Api.send` does.

        Raises:
            PublishError: As `call` raised it.
        """
        try:
            return await call()
        except AnswerLostError:
            raise
        except PublishError:
            await self.withdraw()
            raise

    async def withdraw(self) -> None:
        """Note that nothing came of it: the call was refused, or was not made after all."""
        await self._remember(f"{self._name}-end", _nothing)


async def begin(remember: Remember, *, name: str, run: int, now: Callable[[], float]) -> Effect:
    """Note that the call is about to be made, and find out what earlier attempts did.

    Args:
        remember: Durable steps of one account of one job.
        name: Names the call; each name is used once an attempt.
        run: This run's number, higher in each run of the job.
        now: The clock, Unix time in seconds.

    Returns:
        The effect, whose `lost_at` tells of earlier calls. The note is durable by then.
    """
    lost_at: float | None = None

    async def sent() -> Sent:
        return Sent(at=now(), run=run)

    for number in itertools.count(1):
        numbered = f"{name}-{number}"
        note = await remember(numbered, sent)
        if note.run == run:
            return Effect(remember, name=numbered, lost_at=lost_at)
        # The note is an earlier run's. That run wrote how it ended, or else it is written now: nobody knows.
        end = await remember(f"{numbered}-end", _lost)
        if end.how == "lost" and lost_at is None:
            lost_at = note.at
    raise AssertionError("unreachable: the count has no end")


async def _nothing() -> End:
    return End(how="nothing")


async def _lost() -> End:
    return End(how="lost")
