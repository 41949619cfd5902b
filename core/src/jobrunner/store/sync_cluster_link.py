"""How commands travel in a cluster for those who do not await: as `cluster_link`, over blocking links. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import redis.exceptions as driver

from jobrunner.errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from jobrunner.store.routes import LOOK_S, REDIRECTS, Node, Routes, circles, not_told, slot_of
from jobrunner.store.sync_link import SyncConnectionLink
from jobrunner.store.wire import Command

_AWAY = (StoreUnavailableError, OutcomeUnknownError)


class SyncClusterLink:
    """A link to all nodes of a cluster.

    Args:
        seeds: Nodes to ask for the others.
        connect: Gives the link to one node.
    """

    def __init__(self, seeds: Sequence[Node], connect: Callable[[Node], SyncConnectionLink]) -> None:
        self._routes = Routes(seeds)
        self._connect = connect
        self._links: dict[Node, SyncConnectionLink] = {}
        self._asking = threading.Lock()
        self._vain = 0
        self._why: StoreError | None = None

    def send(self, command: Command) -> object:
        """Send one command to the node of its key and return its reply."""
        (reply,) = self.send_in_row([command])
        if isinstance(reply, driver.ResponseError):
            raise reply
        return reply

    def send_many(self, commands: Sequence[Command]) -> list[object]:
        """Send commands together, a batch a node; a server's error stands in its place as an exception."""
        self._look()
        replies: list[object] = [None] * len(commands)
        for node, places in self._routes.by_owner(commands).items():
            answers = self._to(node, [commands[at] for at in places])
            for at, answer in zip(places, answers, strict=True):
                if isinstance(answer, driver.AskError):
                    (answer,) = self.send_in_row([commands[at]])  # noqa: PLW2901 - the answer in its place
                replies[at] = answer
        return replies

    def send_in_row(self, commands: Sequence[Command]) -> list[object]:
        """Send commands over one connection to the node of the first one's key."""
        self._look()
        node, only_once = self._routes.owner(slot_of(commands[0])), False
        for _ in range(1 + REDIRECTS):
            ahead: list[Command] = [("ASKING",)] if only_once else []
            replies = self._to(node, [*ahead, *commands])[len(ahead) :]
            if not isinstance(replies[0], driver.AskError):
                return replies
            node, only_once = self._routes.follow(replies[0], node)
        raise circles(commands[0])

    def reset(self) -> None:
        """Ask for the slots' owners before the next command."""
        self._routes.stale = True

    def close(self) -> None:
        """Close everything."""
        for link in list(self._links.values()):
            link.close()

    def _to(self, node: Node, commands: Sequence[Command]) -> list[object]:
        try:
            return self._link(node).send_many(commands)
        except _AWAY:
            self._routes.failed(node)
            raise

    def _link(self, node: Node) -> SyncConnectionLink:
        link = self._links.get(node)
        if link is None:
            link = self._links.setdefault(node, self._connect(node))  # atomic; one that loses is never used
        return link

    def _look(self) -> None:
        """Ask for the slots' owners where they may have changed; whoever comes meanwhile waits for the answer."""
        if not self._routes.stale:
            return
        before = self._vain
        with self._asking:
            if self._vain != before and self._why is not None:
                raise self._why  # somebody just asked all of them, and waiting in turn for the same would take for ever
            until = time.monotonic() + LOOK_S
            for node in self._routes.candidates() if self._routes.stale else ():
                try:
                    self._routes.learn(self._slots(node), node)
                except StoreError as error:
                    self._why = error
                else:
                    return
                if time.monotonic() > until:
                    break
            if self._routes.stale and self._why is not None:
                self._vain += 1
                raise self._why

    def _slots(self, node: Node) -> object:
        command: Command = ("CLUSTER", "SLOTS")
        (reply,) = self._to(node, [command])
        if isinstance(reply, driver.ResponseError):
            raise not_told(reply) from reply
        return reply
