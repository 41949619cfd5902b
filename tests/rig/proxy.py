"""A TCP proxy between a client and a real server that breaks the connection at a chosen command.

It reads whole requests and replies, so a fault falls between commands and never in the middle of one. It runs in
a thread of its own, for tests of blocking and of asyncio clients alike. It never changes what it passes on.

It counts on one reply to each request, which holds for all commands but MONITOR, CLIENT REPLY, and subscribing in
RESP2; messages that RESP3 pushes are passed on at once.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Self, TypeVar
from urllib.parse import urlsplit

from rig.faults import BlackHole, Fault, Rule, any_command
from rig.link import Link
from rig.resp import Command

T = TypeVar("T")

MAX_KEPT_COMMANDS = 20_000  # about 12 MB at most
CALL_TIMEOUT_S = 10.0


class FaultProxy:
    """The proxy. Use it as a context manager, or call `close`. Its methods may be called from any thread."""

    def __init__(self, upstream_url: str) -> None:
        """Listen on a loopback port that the system chooses.

        Args:
            upstream_url: the server's address, as `redis://host:port`; whatever else it holds is kept for `url`.
        """
        parts = urlsplit(upstream_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.upstream = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._seen: deque[Command] = deque(maxlen=MAX_KEPT_COMMANDS)
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._healthy = asyncio.Event()
        self._healthy.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._listener = self._call(self._listen())
        self.port: int = self._listener.sockets[0].getsockname()[1]
        userinfo, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{userinfo}{at}127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def commands(self) -> list[str]:
        """The names of the commands seen so far, in order over all connections: the last 20,000."""
        return [command.name for command in self.seen]

    @property
    def seen(self) -> list[Command]:
        """The same commands with the heads of their arguments."""
        with self._lock:
            return list(self._seen)

    def at(self, k: int, fault: Fault, *, only: Callable[[Command], bool] = any_command) -> Rule:
        """Let a fault happen at one command.

        Args:
            k: which one, from 1, counted from this call on over all connections.
            fault: what happens to it.
            only: which commands are counted; it is called on the proxy's thread.

        Returns:
            The rule, whose `wait` returns once the fault has struck.
        """
        return self._add(Rule(fault, first=k, step=0, only=only))

    def every(self, n: int, fault: Fault, *, only: Callable[[Command], bool] = any_command) -> Rule:
        """Let a fault happen at each n-th command, until `heal`.

        Args:
            n: 1 is every command; counted from this call on over all connections.
            fault: what happens to it.
            only: which commands are counted; it is called on the proxy's thread.
        """
        return self._add(Rule(fault, first=n, step=n, only=only))

    def watch(self, k: int = 1, *, only: Callable[[Command], bool] = any_command) -> Rule:
        """Do nothing at the k-th command from now on but to let the rule's `wait` return."""
        return self._add(Rule(None, first=k, step=0, only=only))

    def black_hole(self) -> None:
        """Swallow everything from now on, on all connections and on new ones, until `heal`."""
        self._call(self._begin_black_hole())

    def reset_all(self) -> None:
        """Reset every connection that is open now."""
        self._call(self._reset_links())

    def heal(self) -> None:
        """Forget all rules, let delayed replies go, and end a black hole.

        A connection that lost bytes in the black hole is reset, for its two ends no longer agree; one that was
        silent meanwhile goes on.
        """
        with self._lock:
            self._rules.clear()
        self._call(self._end_black_hole())

    def close(self) -> None:
        """Stop listening, end all connections and the thread. Idempotent."""
        if self._loop.is_closed():
            return
        self._call(self._shut_down())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_TIMEOUT_S)
        self._loop.close()

    def _add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def _call(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def _strike(self, command: Command) -> Rule | None:
        """Count one command and find the rule that decides over it: the oldest of those that strike."""
        with self._lock:
            self._seen.append(command)
            struck = [rule for rule in self._rules if rule.count(command)]
        for rule in struck:
            if rule.fault is None:
                rule.announce()
        decides = next((rule for rule in struck if rule.fault is not None), None)
        if decides is not None and isinstance(decides.fault, BlackHole):
            self._healthy.clear()
        return decides

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer, upstream=self.upstream, strike=self._strike, healthy=self._healthy)
        task = asyncio.current_task()
        assert task is not None
        self._links.add(link)
        self._tasks.add(task)
        try:
            await link.run()
        finally:
            self._links.discard(link)
            self._tasks.discard(task)

    async def _begin_black_hole(self) -> None:
        self._healthy.clear()

    async def _end_black_hole(self) -> None:
        for link in self._links:
            if link.lost_bytes:
                link.end(reset=True)
        self._healthy.set()
        for link in self._links:
            link.release()

    async def _reset_links(self) -> None:
        for link in self._links:
            link.end(reset=True)

    async def _shut_down(self) -> None:
        self._listener.close()
        await self._reset_links()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CALL_TIMEOUT_S)
        await self._listener.wait_closed()
