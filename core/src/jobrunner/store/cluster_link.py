"""How commands travel in a cluster: to the node of their slot, over a link a node, following redirections.

A redirection means that nothing happened, so it is followed at once; TRYAGAIN and CLUSTERDOWN are the caller's,
who waits. The driver's own cluster client is not used: it sends again by itself, and reads answers its own way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import redis.exceptions as driver

from jobrunner.errors import OutcomeUnknownError, StoreError, StoreUnavailableError
from jobrunner.store.link import TIMEOUT_S, ConnectionLink
from jobrunner.store.routes import LOOK_S, REDIRECTS, Node, Routes, circles, not_told, slot_of
from jobrunner.store.wire import Command

SLOTS_S = 3.0
"""Seconds that a node may take to say who owns the slots, before another one is asked."""

_AWAY = (StoreUnavailableError, OutcomeUnknownError)


class ClusterLink:
    """A link to all nodes of a cluster. Used on one event loop only.

    Args:
        seeds: Nodes to ask for the others.
        connect: Gives the link to one node.
    """

    def __init__(self, seeds: Sequence[Node], connect: Callable[[Node], ConnectionLink]) -> None:
        self._routes = Routes(seeds)
        self._connect = connect
        self._links: dict[Node, ConnectionLink] = {}
        self._asking = asyncio.Lock()
        self._vain = 0
        self._why: StoreError | None = None

    async def send(self, command: Command, timeout: float = TIMEOUT_S) -> object:
        """Send one command to the node of its key and return its reply."""
        (reply,) = await self.send_in_row([command], timeout)
        if isinstance(reply, driver.ResponseError):
            raise reply
        return reply

    async def send_many(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands together, a batch a node; a server's error stands in its place as an exception."""
        await self._look()
        replies: list[object] = [None] * len(commands)
        for node, places in self._routes.by_owner(commands).items():
            answers = await self._to(node, [commands[at] for at in places], timeout)
            for at, answer in zip(places, answers, strict=True):
                if isinstance(answer, driver.AskError):
                    (answer,) = await self.send_in_row([commands[at]], timeout)  # noqa: PLW2901 - the answer in its place
                replies[at] = answer
        return replies

    async def send_in_row(self, commands: Sequence[Command], timeout: float = TIMEOUT_S) -> list[object]:
        """Send commands over one connection to the node of the first one's key."""
        await self._look()
        node, only_once = self._routes.owner(slot_of(commands[0])), False
        for _ in range(1 + REDIRECTS):
            ahead: list[Command] = [("ASKING",)] if only_once else []
            replies = (await self._to(node, [*ahead, *commands], timeout))[len(ahead) :]
            if not isinstance(replies[0], driver.AskError):
                return replies
            node, only_once = self._routes.follow(replies[0], node)
        raise circles(commands[0])

    async def send_everywhere(self, command: Command, timeout: float = TIMEOUT_S) -> list[object]:
        """Send a command without keys to every primary; raises where one does not answer."""
        await self._look()
        replies = [(await self._to(node, [command], timeout))[0] for node in self._routes.primaries]
        for reply in replies:
            if isinstance(reply, driver.ResponseError):
                raise reply
        return replies

    async def reset(self) -> None:
        """Ask for the slots' owners before the next command."""
        self._routes.stale = True

    async def close(self) -> None:
        """Close everything."""
        for link in self._links.values():
            await link.close()

    async def _to(self, node: Node, commands: Sequence[Command], timeout: float) -> list[object]:
        try:
            return await self._link(node).send_many(commands, timeout)
        except _AWAY:
            self._routes.failed(node)
            raise

    def _link(self, node: Node) -> ConnectionLink:
        link = self._links.get(node)
        if link is None:
            link = self._links[node] = self._connect(node)
        return link

    async def _look(self) -> None:
        """Ask for the slots' owners where they may have changed; whoever comes meanwhile waits for the answer."""
        if not self._routes.stale:
            return
        before = self._vain
        async with self._asking:
            if self._vain != before and self._why is not None:
                raise self._why  # somebody just asked all of them, and waiting in turn for the same would take for ever
            until = time.monotonic() + LOOK_S
            for node in self._routes.candidates() if self._routes.stale else ():
                try:
                    self._routes.learn(await self._slots(node), node)
                except StoreError as error:
                    self._why = error
                else:
                    return
                if time.monotonic() > until:
                    break
            if self._routes.stale and self._why is not None:
                self._vain += 1
                raise self._why

    async def _slots(self, node: Node) -> object:
        command: Command = ("CLUSTER", "SLOTS")
        (reply,) = await self._to(node, [command], SLOTS_S)
        if isinstance(reply, driver.ResponseError):
            raise not_told(reply) from reply
        return reply
