"""The store: runs calls over a link, by a script's SHA where the server knows it, and names what went wrong.

Two classes of one shape, for those who await and those who do not. Neither tries anything again, but for the
text of a script that the server has forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import redis.exceptions as driver

from jobrunner.errors import StoreError, StoreUnavailableError
from jobrunner.store.calls import Call
from jobrunner.store.faults import UNREADABLE, is_noscript, not_understood, translate
from jobrunner.store.keys import FleetKeys, QueueKeys
from jobrunner.store.link import TIMEOUT_S, Link
from jobrunner.store.scripts import SERVER_CLOCK, script
from jobrunner.store.sync_link import SyncLink
from jobrunner.store.wire import PART, Command, Prepared

T = TypeVar("T")

REPLICATED_MS = 1000
"""Milliseconds that a replica may take to confirm: many times what one needs that follows, and a call's deadline is far."""


class _Base:
    """What both stores share: keys, and how a call is written."""

    def __init__(self, prefix: str, clock: str) -> None:
        self.prefix = prefix
        self.fleet = FleetKeys(prefix)
        self._clock = clock
        self._keys: dict[str, QueueKeys] = {}
        self._openings: dict[tuple[str, tuple[object, ...]], tuple[tuple[object, ...], bytes]] = {}
        """Script and its keys -> what a call begins with, in parts and packed."""

    def keys(self, queue: str) -> QueueKeys:
        """The keys of a queue.

        Raises:
            InvalidNameError: It cannot name one.
        """
        keys = self._keys.get(queue)
        if keys is None:
            keys = self._keys[queue] = QueueKeys(self.prefix, queue)
        return keys

    def _command(self, call: Call[T]) -> Command:
        if not call.script:
            return call.command
        if not call.tail:
            return ("EVALSHA", script(call.script, self._clock).sha, *call.keys, *call.command)
        opening, packed = self._openings.get((call.script, call.keys)) or self._opening(call)
        return Prepared(opening, call.command, packed + call.tail)

    def _opening(self, call: Call[T]) -> tuple[tuple[object, ...], bytes]:
        """What goes before the arguments, which are as many each time."""
        opening = ("EVALSHA", script(call.script, self._clock).sha, *call.keys)
        parts = [str(part).encode() for part in opening]
        packed = b"*%d\r\n%s" % (
            len(parts) + len(call.command),
            b"".join([PART % (len(part), part) for part in parts]),
        )
        self._openings[call.script, call.keys] = opening, packed
        return opening, packed

    def _in_full(self, call: Call[T]) -> Command:
        return ("EVAL", script(call.script, self._clock).text, *call.keys, *call.command)


class Store(_Base):
    """The store for those who await. Used on one event loop only.

    Args:
        link: The way to the server.
        prefix: What all keys begin with.
        clock: The Lua expression that gives the time; the server's own but for tests.
        release: Called once the link is closed; it may block.
    """

    def __init__(
        self,
        link: Link,
        prefix: str = "jr",
        clock: str = SERVER_CLOCK,
        release: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(prefix, clock)
        self.link = link
        self._release = release

    async def run(self, call: Call[T], timeout: float = TIMEOUT_S) -> T:
        """Run a call.

        Raises:
            StoreError: It failed; the class says whether it can have happened.
        """
        try:
            try:
                reply = await self.link.send(self._command(call), timeout)
            except driver.ResponseError as error:
                if not (call.script and is_noscript(error)):
                    raise
                reply = await self.link.send(self._in_full(call), timeout)
        except driver.ResponseError as error:
            raise await self._answered(error, call) from error
        try:
            return call.parse(reply)
        except UNREADABLE as error:
            raise await self._out_of_step(reply, call) from error

    async def run_replicated(self, call: Call[T], mark: Call[object]) -> tuple[T, int]:
        """Run a call, and wait until a replica has what it wrote, or what was written when it was made before.

        Args:
            call: The call.
            mark: A command that writes something of no interest: WAIT looks at what its own connection wrote last,
                and a call that finds its work done by another connection writes nothing.

        Returns:
            The answer, and the number of replicas that have confirmed it within a second.

        Raises:
            StoreError: It failed; the class says whether it can have happened.
        """
        wait: Command = ("WAIT", 1, REPLICATED_MS)
        reply, marked, copies = await self.link.send_in_row([self._command(call), mark.command, wait])
        if isinstance(reply, driver.ResponseError) and call.script and is_noscript(reply):
            row = [self._in_full(call), mark.command, wait]
            reply, marked, copies = await self.link.send_in_row(row)
        for answer in (reply, copies):
            if isinstance(answer, driver.ResponseError):
                raise await self._answered(answer, call) from answer
        if isinstance(marked, driver.ResponseError) or not isinstance(copies, int):
            copies = 0
        return await self._read(call, reply), copies

    async def run_many(self, calls: Sequence[Call[T]]) -> list[T]:
        """Run calls together, in one round trip; scripts that the server has forgotten take a second one.

        Raises:
            StoreError: One of them failed; the others may have happened.
        """
        replies = await self.link.send_many([self._command(call) for call in calls]) if calls else []
        forgotten = _forgotten(calls, replies)
        if forgotten:
            again = await self.link.send_many([self._in_full(calls[at]) for at in forgotten])
            for at, reply in zip(forgotten, again, strict=True):
                replies[at] = reply
        answers = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, driver.ResponseError):
                raise await self._answered(reply, call) from reply
            answers.append(await self._read(call, reply))
        return answers

    async def run_everywhere(self, call: Call[T]) -> list[T]:
        """Run a plain command without keys on every primary: one answer, or one a node of a cluster.

        Raises:
            StoreError: One of them failed.
        """
        try:
            replies = await self.link.send_everywhere(self._command(call))
        except driver.ResponseError as error:
            raise await self._answered(error, call) from error
        return [await self._read(call, reply) for reply in replies]

    async def close(self) -> None:
        """Close the link."""
        await self.link.close()
        if self._release:
            await asyncio.to_thread(self._release)

    async def _read(self, call: Call[T], reply: object) -> T:
        try:
            return call.parse(reply)
        except UNREADABLE as error:
            raise await self._out_of_step(reply, call) from error

    async def _out_of_step(self, reply: object, call: Call[T]) -> StoreError:
        await self.link.reset()  # perhaps: what comes next would be another's answer too
        return not_understood(reply, _name(call))

    async def _answered(self, error: driver.ResponseError, call: Call[T]) -> StoreError:
        ours = translate(error, _name(call), sent=True)
        if isinstance(ours, StoreUnavailableError):
            await self.link.reset()  # a replica now, perhaps: find the primary anew
        return ours


class SyncStore(_Base):
    """The store for those who do not await. Thread-safe.

    Args:
        link: The way to the server.
        prefix: What all keys begin with.
        clock: The Lua expression that gives the time; the server's own but for tests.
        release: Called once the link is closed.
    """

    def __init__(
        self,
        link: SyncLink,
        prefix: str = "jr",
        clock: str = SERVER_CLOCK,
        release: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(prefix, clock)
        self.link = link
        self._release = release

    def run(self, call: Call[T]) -> T:
        """Run a call; raises as `Store.run`."""
        try:
            try:
                reply = self.link.send(self._command(call))
            except driver.ResponseError as error:
                if not (call.script and is_noscript(error)):
                    raise
                reply = self.link.send(self._in_full(call))
        except driver.ResponseError as error:
            raise self._answered(error, call) from error
        try:
            return call.parse(reply)
        except UNREADABLE as error:
            raise self._out_of_step(reply, call) from error

    def run_replicated(self, call: Call[T], mark: Call[object]) -> tuple[T, int]:
        """Run a call, and wait until a replica has what it wrote, or what was written when it was made before.

        Args:
            call: The call.
            mark: A command that writes something of no interest: WAIT looks at what its own connection wrote last,
                and a call that finds its work done by another connection writes nothing.

        Returns:
            The answer, and the number of replicas that have confirmed it within a second.

        Raises:
            StoreError: It failed; the class says whether it can have happened.
        """
        wait: Command = ("WAIT", 1, REPLICATED_MS)
        reply, marked, copies = self.link.send_in_row([self._command(call), mark.command, wait])
        if isinstance(reply, driver.ResponseError) and call.script and is_noscript(reply):
            row = [self._in_full(call), mark.command, wait]
            reply, marked, copies = self.link.send_in_row(row)
        for answer in (reply, copies):
            if isinstance(answer, driver.ResponseError):
                raise self._answered(answer, call) from answer
        if isinstance(marked, driver.ResponseError) or not isinstance(copies, int):
            copies = 0
        return self._read(call, reply), copies

    def run_many(self, calls: Sequence[Call[T]]) -> list[T]:
        """Run calls together; raises as `Store.run_many`."""
        replies = self.link.send_many([self._command(call) for call in calls]) if calls else []
        forgotten = _forgotten(calls, replies)
        if forgotten:
            again = self.link.send_many([self._in_full(calls[at]) for at in forgotten])
            for at, reply in zip(forgotten, again, strict=True):
                replies[at] = reply
        answers = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, driver.ResponseError):
                raise self._answered(reply, call) from reply
            answers.append(self._read(call, reply))
        return answers

    def close(self) -> None:
        """Close the link."""
        self.link.close()
        if self._release:
            self._release()

    def _read(self, call: Call[T], reply: object) -> T:
        try:
            return call.parse(reply)
        except UNREADABLE as error:
            raise self._out_of_step(reply, call) from error

    def _out_of_step(self, reply: object, call: Call[T]) -> StoreError:
        self.link.reset()
        return not_understood(reply, _name(call))

    def _answered(self, error: driver.ResponseError, call: Call[T]) -> StoreError:
        ours = translate(error, _name(call), sent=True)
        if isinstance(ours, StoreUnavailableError):
            self.link.reset()
        return ours


def _name(call: Call[T]) -> str:
    """What a call is called in an error."""
    return call.script or str(call.command[0])


def _forgotten(calls: Sequence[Call[T]], replies: Sequence[object]) -> list[int]:
    """The places of calls whose script the server does not know; those did nothing."""
    return [
        at
        for at, (call, reply) in enumerate(zip(calls, replies, strict=True))
        if call.script and isinstance(reply, driver.ResponseError) and is_noscript(reply)
    ]
