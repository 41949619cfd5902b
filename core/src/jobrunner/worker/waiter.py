"""Waiting for work without asking: one blocked command over the wake lists of all queues that listen.

A wake-up carries no job, so one that is lost costs a poll and nothing else. Where the set of queues changes
while the command blocks, the server is asked to let it go; the connection is never torn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from jobrunner.errors import StoreError, StoreFullError
from jobrunner.store import answers, calls
from jobrunner.store.store import Store
from jobrunner.worker.consumer import Consumer
from jobrunner.worker.health import Health

BLOCK_S = 5
"""Seconds that one blocked command lasts at the most."""

SETTLE_S = 0.01
"""Seconds that a change must stand before the blocked command is let go: a busy queue fills and empties all the time."""

MARGIN_S = 3.0
"""Seconds beyond that before its answer counts as lost."""


class Waiter:
    """Wakes consumers.

    Args:
        consumers: Those that it wakes.
        store: The store, for its keys and for letting the blocked command go.
        own: A store of its own for the blocked command.
        health: Where failures are noted.
        lets_go: Whether the server can be asked to let the blocked command go; in a cluster it cannot, since nobody
            knows which node that is.
    """

    def __init__(
        self, consumers: Sequence[Consumer], store: Store, own: Store, health: Health, *, lets_go: bool = True
    ) -> None:
        self._by_key = {store.keys(consumer.queue.name)["wake"].encode(): consumer for consumer in consumers}
        self._store = store
        self._own = own
        self._health = health
        self._lets_go = lets_go
        self._client: object = None
        self._waiting_for: frozenset[bytes] = frozenset()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Wait and wake until cancelled."""
        failures = 0
        while True:
            try:
                await self._wait_once()
            except StoreError as error:
                self._client, self._waiting_for = None, frozenset()
                failures += 1
                await self._health.failed("wait", error, failures)
            else:
                failures = 0

    def poke(self) -> None:
        """The set of queues that listen may have changed."""
        self._changed.set()

    async def watch(self) -> None:
        """Let the blocked command go when it waits for other queues than it should, until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            if self._client is not None and self._waiting_for and self._waiting_for != self._wanted():
                with contextlib.suppress(StoreError):  # the blocked command ends by itself soon
                    await self._store.run(calls.command("CLIENT", "UNBLOCK", self._client))

    def _wanted(self) -> frozenset[bytes]:
        return frozenset(key for key, consumer in self._by_key.items() if consumer.shows_listening())

    async def _wait_once(self) -> None:
        keys = self._wanted()
        if not keys:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            return
        if self._client is None and self._lets_go:
            self._client = await self._own.run(calls.command("CLIENT", "ID"))
        self._waiting_for = keys
        try:
            key = await self._own.run(
                calls.plain(["BLPOP", *sorted(keys), BLOCK_S], self._told), BLOCK_S + MARGIN_S
            )
        finally:
            self._waiting_for = frozenset()
        if key is None:
            await asyncio.sleep(SETTLE_S)  # a server that never blocks would be asked without end
            return
        consumer = self._by_key[key]
        if not consumer.has_room:  # it knows now, and will look; the token is for another worker
            with contextlib.suppress(StoreFullError):  # then somebody finds the job at the next poll
                await self._store.run(calls.command("LPUSH", key, 1))
        consumer.wake()

    def _told(self, reply: object) -> bytes | None:
        """Whose wake list had something; None where none had."""
        if reply is None:
            return None
        key, _ = answers.parts(reply)
        if isinstance(key, bytes) and key in self._by_key:
            return key
        raise ValueError("a list that was not asked for")

    async def close(self) -> None:
        """Close its store."""
        await self._own.close()
