"""What happens, as it happens: the store looked at once a second for all who listen, and not at all while nobody does.

An event says what happened in the queues since the one before, and how many jobs they hold now. Its id is the moment, by
the store's clock, up to which everything is told; who comes back with it misses nothing. A listener that is held to some
tenants learns of its own jobs' numbers only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec

from jobrunner.admin import Admin
from jobrunner.errors import StoreError
from jobrunner.gauges import News
from jobrunner.views import QueueStats
from jobrunner_http.access import Caller

ROUND_S = 1.0
"""Seconds between two looks at the store."""

KEPT = 16
"""Events that wait for a listener at the most; one that is slower is ended, and comes back with its last id."""

AHEAD_MS = 10_000
"""Milliseconds by which an id may lie ahead of this copy's last look; one further ahead is none."""


class QueueNews(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One queue in an event."""

    happened: dict[str, int] | None = None
    """How often what happened since the event before; null for those who are held to some tenants."""
    stats: QueueStats


class FeedEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An event of the feed."""

    at: int
    """ms since 1970, by the store's clock: everything before it is told."""
    queues: dict[str, QueueNews]
    """Those in which something changed; in a listener's first event all of them."""
    gap: bool = False
    """Whether more happened since the id that the listener came with than is still known."""


Tenants = tuple[str, ...] | None


class Listener:
    """One who listens; made by `Feed.join`, which also ends it."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.events: asyncio.Queue[FeedEvent | None] = asyncio.Queue(KEPT + 1)

    def give(self, event: FeedEvent) -> bool:
        """Hand over an event; False where it is too slow, and is ended."""
        if self.events.qsize() >= KEPT:
            self.end()
            return False
        self.events.put_nowait(event)
        return True

    def end(self) -> None:
        """Say that there will be no further event."""
        while self.events.qsize() >= KEPT:
            self.events.get_nowait()
        self.events.put_nowait(None)


class FeedFullError(Exception):
    """As many listen as may."""


class Feed:
    """Looks at the store for all who listen.

    Args:
        admin: People's side of the store.
        most: Listeners at once.
        round_s: Seconds between two looks.
    """

    def __init__(self, admin: Admin, most: int, round_s: float = ROUND_S) -> None:
        self._admin = admin
        self._most = most
        self._round_s = round_s
        self._listeners: set[Listener] = set()
        self._reserved = 0
        self._task: asyncio.Task[None] | None = None
        self._joining = asyncio.Lock()
        self._cursor_ms = 0
        self._told: dict[Tenants, dict[str, QueueStats]] = {}
        self.closed = False

    @property
    def is_full(self) -> bool:
        """Whether as many listen as may."""
        return len(self._listeners) + self._reserved >= self._most

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Count a stream that does not listen here, but costs the same.

        Raises:
            FeedFullError: There is no place.
        """
        if self.is_full:
            raise FeedFullError
        self._reserved += 1
        try:
            yield
        finally:
            self._reserved -= 1

    async def join(self, caller: Caller, since_ms: int | None = None) -> Listener:
        """Begin to listen; the first event holds all queues, and what happened since a moment.

        Args:
            caller: Whoever listens.
            since_ms: The id of the last event that it was given; None where it comes for the first time.

        Raises:
            FeedFullError: As many listen as may.
            StoreError: The store cannot be looked at now.
        """
        if self.is_full or self.closed:
            raise FeedFullError
        listener = Listener(caller)
        async with self._joining:
            if self._task is None or self._task.done():
                self._told.clear()
                self._cursor_ms = (await self._admin.gauges.news([])).until_ms
            listener.give(await self._first(caller, since_ms))
            self._listeners.add(listener)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._look_on())
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End all who listen."""
        self.closed = True
        for listener in self._listeners:
            listener.end()
        self._listeners.clear()

    async def _first(self, caller: Caller, since_ms: int | None) -> FeedEvent:
        cursor_ms = self._cursor_ms
        names = [name for name in await self._admin.declarations() if caller.sees_queue(name)]
        stats = await self._admin.stats(names, tenants=caller.tenants) if names else []
        seen = self._told.setdefault(caller.tenants, {})
        for one in stats:
            seen.setdefault(one.name, one)
        whole = not caller.is_limited
        news = News(until_ms=cursor_ms, queues={}, cut=[])
        if whole and since_ms is not None and since_ms < cursor_ms + AHEAD_MS:
            news = await self._admin.gauges.news(names, max(0, since_ms), cursor_ms)
        queues = {
            one.name: QueueNews(happened=news.queues.get(one.name, {}) if whole else None, stats=one)
            for one in stats
        }
        return FeedEvent(at=cursor_ms, queues=queues, gap=bool(news.cut))

    async def _look_on(self) -> None:
        while self._listeners:
            await asyncio.sleep(self._round_s)
            with contextlib.suppress(StoreError):  # the next look tells what this one would have
                async with self._joining:
                    await self._look()
        self._task = None

    async def _look(self) -> None:
        """Look once, and tell everybody what is news to them."""
        names = list(await self._admin.declarations())
        news = await self._admin.gauges.news(names, self._cursor_ms)
        held = {listener.caller.tenants for listener in self._listeners}
        now = {tenants: await self._stats(names, tenants) for tenants in held}
        events = {tenants: self._changed(tenants, stats, news) for tenants, stats in now.items()}
        self._cursor_ms, self._told = news.until_ms, now
        for listener in list(self._listeners):
            changed = {
                name: one
                for name, one in events.get(listener.caller.tenants, {}).items()
                if listener.caller.sees_queue(name)
            }
            event = FeedEvent(at=news.until_ms, queues=changed, gap=bool(news.cut))
            if changed and not listener.give(event):
                self._listeners.discard(listener)

    async def _stats(self, names: list[str], tenants: Tenants) -> dict[str, QueueStats]:
        return {one.name: one for one in await self._admin.stats(names, tenants=tenants)} if names else {}

    def _changed(self, tenants: Tenants, now: dict[str, QueueStats], news: News) -> dict[str, QueueNews]:
        whole = tenants is None
        before = self._told.get(tenants, {})
        changed = {}
        for name, one in now.items():
            happened = news.queues.get(name, {}) if whole else {}
            was = before.get(name)
            if happened or was is None or _still(was) != _still(one):
                changed[name] = QueueNews(happened=happened if whole else None, stats=one)
        return changed


def _still(stats: QueueStats) -> QueueStats:
    """Numbers without the one that changes by itself."""
    return msgspec.structs.replace(stats, oldest_waiting_ms=None)
