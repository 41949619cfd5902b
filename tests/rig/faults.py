"""What can happen to a command on its way, and the rules that say to which one it happens."""

import threading
from collections.abc import Callable

import msgspec

from rig.history import now_ms
from rig.resp import Command


class DropRequest(msgspec.Struct, frozen=True):
    """Close the connection; the server never sees the command."""


class DropReply(msgspec.Struct, frozen=True):
    """Let the server run the command, then close the connection in place of its reply."""


class DelayReply(msgspec.Struct, frozen=True):
    """Let the server run the command, and hold its reply and all behind it back, at most until `heal`."""

    seconds: float


class Reset(msgspec.Struct, frozen=True):
    """Reset the connection (RST); the server never sees the command."""


class BlackHole(msgspec.Struct, frozen=True):
    """Swallow this command and from then on everything, on all connections and on new ones, until `heal`.

    Nobody is told: connections stay open on both sides, so the server still thinks its clients are there.
    """


class Answer(msgspec.Struct, frozen=True):
    """Answer an error in the server's place; the server never sees the command."""

    error: str
    """As the server would write it, on one line: "LOADING Redis is loading the dataset in memory"."""


class Say(msgspec.Struct, frozen=True):
    """Say these bytes in the reply's place, whatever they are; the server never sees the command."""

    data: bytes


Fault = DropRequest | DropReply | DelayReply | Reset | BlackHole | Answer | Say


def any_command(_: Command) -> bool:
    """Count every command, also those with which a client greets the server."""
    return True


def named(*names: str) -> Callable[[Command], bool]:
    """Make a predicate for commands of these names, in any case of letters."""
    wanted = frozenset(name.upper() for name in names)
    return lambda command: command.name in wanted


def script(*digests: str) -> Callable[[Command], bool]:
    """Make a predicate for runs of these scripts, by EVALSHA or by EVAL.

    Args:
        digests: SHA-1 digests of the scripts' text, in hexadecimal.
    """
    wanted = frozenset(digest.lower() for digest in digests)
    return lambda command: command.script in wanted


class Rule:
    """One fault and the commands that it strikes: the `first` that match, then each `step`-th after it.

    `fault` is None for a rule that only watches.
    """

    def __init__(
        self, fault: Fault | None, *, first: int, step: int, only: Callable[[Command], bool]
    ) -> None:
        if first < 1:
            raise ValueError(f"commands are counted from 1, not {first}")
        self.fault = fault
        self._first = first
        self._step = step
        self._only = only
        self._matched = 0
        self._times_ms: list[int] = []
        self._hit = threading.Condition()

    @property
    def hits(self) -> int:
        """How many times the fault took place."""
        return len(self.times_ms)

    @property
    def times_ms(self) -> list[int]:
        """When each of them took place, by the clock of the history."""
        with self._hit:
            return list(self._times_ms)

    def count(self, command: Command) -> bool:
        """Count a command; True if it is one that this rule strikes. Only the proxy calls this, under its lock."""
        if not self._only(command):
            return False
        self._matched += 1
        past = self._matched - self._first
        return past == 0 or (self._step > 0 and past > 0 and past % self._step == 0)

    def announce(self) -> None:
        """Say that the fault took place: let those who wait go on."""
        with self._hit:
            self._times_ms.append(now_ms())
            self._hit.notify_all()

    def wait(self, *, hits: int = 1, timeout_s: float = 20.0) -> None:
        """Wait until the fault took place: a reply was dropped, not only its request seen.

        Args:
            hits: how many times, over the rule's whole life.
            timeout_s: the longest wait in seconds.

        Raises:
            TimeoutError: it did not.
        """
        with self._hit:
            if not self._hit.wait_for(lambda: len(self._times_ms) >= hits, timeout_s):
                raise TimeoutError(
                    f"{self.fault!r} took place {len(self._times_ms)} times, not {hits}, in {timeout_s} s"
                )
