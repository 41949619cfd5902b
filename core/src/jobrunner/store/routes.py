"""Which node of a cluster a command goes to: the slots' owners as they are known, and what redirections teach.

It neither sends nor waits; both cluster links use it. What it knows may be out of date: a node then says so, and
nothing has happened.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence

import redis.exceptions as driver
from redis.crc import key_slot

from jobrunner.errors import StoreError, StoreRefusedError, StoreUnavailableError
from jobrunner.store.faults import UNREADABLE, translate
from jobrunner.store.wire import Command

Node = tuple[str, int]
"""Host and port."""

REDIRECTS = 5
"""Redirections that one command follows; a cluster that is whole needs one, and two while a slot moves."""

AVOID_S = 10.0
"""Seconds for which a node that could not be reached is asked for the slots last."""

LOOK_S = 6.0
"""Seconds after which no further node is asked for the slots: the caller has a deadline too."""

SLOTS = 16_384
"""The slots of a cluster; whoever names another one is not believed."""

_KEYLESS = frozenset({"PING", "TIME", "INFO", "CLIENT", "CLUSTER", "ROLE", "WAIT"})


def slot_of(command: Command) -> int | None:
    """The slot of a command's first key, None where it has no key and any node will do."""
    name = command[0]
    if name in _KEYLESS:
        return None
    at = 3 if name in ("EVALSHA", "EVAL") else 1
    if len(command) <= at:
        return None
    key = command[at]
    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))


class Routes:
    """The owners of the slots.

    Args:
        seeds: Nodes to ask first.
        chance: Chooses among nodes that serve equally well.
    """

    def __init__(self, seeds: Sequence[Node], chance: random.Random | None = None) -> None:
        self._seeds = list(seeds)
        self._owners: dict[int, Node] = {}
        self._failed: dict[Node, float] = {}
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self.stale = True
        """Whether the owners should be asked for before the next command."""

    @property
    def primaries(self) -> list[Node]:
        """The nodes that own slots, each once."""
        return list(dict.fromkeys(self._owners.values()))

    def owner(self, slot: int | None) -> Node:
        """The node to send to.

        Raises:
            StoreUnavailableError: Nobody owns the slot.
        """
        if slot is None:
            return self.candidates()[0]
        try:
            return self._owners[slot]
        except KeyError:
            self.stale = True
            raise StoreUnavailableError(
                f"no node of the cluster serves slot {slot} right now; `CLUSTER NODES` shows why"
            ) from None

    def candidates(self) -> list[Node]:
        """Nodes that may answer anything, those that failed lately last."""
        nodes = list(dict.fromkeys([*self.primaries, *self._seeds]))
        self._chance.shuffle(nodes)
        now = time.monotonic()
        return sorted(nodes, key=lambda node: now - self._failed.get(node, -AVOID_S) < AVOID_S)

    def learn(self, reply: object, asked: Node) -> None:
        """Take in the answer to `CLUSTER SLOTS`.

        Args:
            reply: The answer.
            asked: Who gave it; a node that does not know its own host leaves it out.

        Raises:
            StoreUnavailableError: It owns no slot, or knows of none.
        """
        owners: dict[int, Node] = {}
        try:
            for first, last, primary, *_ in reply if isinstance(reply, list) else ():
                node = (_text(primary[0]) or asked[0], int(primary[1]))
                slots = range(max(0, int(first)), min(SLOTS, int(last) + 1))
                owners.update(dict.fromkeys(slots, node))
        except UNREADABLE as error:
            raise StoreUnavailableError(
                f"{asked[0]}:{asked[1]} does not tell who owns the cluster's slots; what answers there may be no node of one"
            ) from error
        if not owners:
            raise StoreUnavailableError(
                f"{asked[0]}:{asked[1]} is a node of a cluster in which no slot is served"
            )
        self._owners = owners
        self.stale = False

    def follow(self, error: driver.AskError, asked: Node) -> tuple[Node, bool]:
        """Where a redirection leads, and whether only for this command (ASK)."""
        node = (str(error.host) or asked[0], int(error.port))
        if not isinstance(error, driver.MovedError):
            return node, True
        self._owners[int(error.slot_id)] = node
        self.stale = True  # other slots are likely to have moved too
        return node, False

    def failed(self, node: Node) -> None:
        """Note that a node did not answer: the owners may have changed, and others should be asked for them."""
        self._failed[node] = time.monotonic()
        self.stale = True

    def by_owner(self, commands: Iterable[Command]) -> dict[Node, list[int]]:
        """The positions of commands by the node that each goes to."""
        groups: dict[Node, list[int]] = {}
        for at, command in enumerate(commands):
            groups.setdefault(self.owner(slot_of(command)), []).append(at)
        return groups


def circles(command: Command) -> StoreUnavailableError:
    """What to say where redirections do not end."""
    return StoreUnavailableError(
        f"{command[0]}: the cluster's nodes send us to each other; a slot is being moved, or they disagree"
    )


def not_told(answer: driver.ResponseError) -> StoreError:
    """What to say where a node does not tell who owns the slots."""
    if "cluster support disabled" in str(answer):
        return StoreRefusedError(
            "the server at redis+cluster:// is not a node of a cluster; for a single server write redis://"
        )
    return translate(answer, "CLUSTER SLOTS", sent=True)


def _text(host: object) -> str:
    return host.decode() if isinstance(host, bytes) else str(host or "")
