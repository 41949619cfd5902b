"""A store in this process's memory, under a clock of the test's own. It takes the same scripts as a real one.

It keeps nothing, and is as fast as it needs to be for tests and no faster.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable

from jobrunner.errors import JobrunnerError
from jobrunner.store.link import ClientLink
from jobrunner.store.store import Store, SyncStore
from jobrunner.store.sync_link import SyncClientLink
from jobrunner.testing.clock import VirtualClock

_CLOCK = "!clock"
"""The key under which the scripts find the time; no queue can have it."""

_READ_CLOCK = f"call('HMGET', '{_CLOCK}', 's', 'us')"


class Memory:
    """An in-memory server.

    Args:
        clock: Its time; call `tell_time` after each move.
        prefix: What all keys begin with.

    Raises:
        JobrunnerError: The packages of the extra `testing` are missing.
    """

    def __init__(self, clock: VirtualClock, prefix: str) -> None:
        try:
            import fakeredis  # noqa: PLC0415 - an extra, asked for only where it is used

            importlib.import_module("lupa")  # without it fakeredis runs no script
        except ImportError as error:
            raise JobrunnerError(
                f"the harness keeps its jobs in fakeredis, and {error.name} is missing: pip install 'jobrunner-core[testing]'"
            ) from error
        self._clock = clock
        self._lock = threading.Lock()
        self._client = fakeredis.FakeRedis(server=fakeredis.FakeServer(version=(7, 0)))
        self._call: Callable[..., object] = self._client.execute_command
        self.tell_time()
        self.store = Store(ClientLink(self._execute_soon, self._stay), prefix, _READ_CLOCK)
        self.sync_store = SyncStore(SyncClientLink(self._execute, self._nothing), prefix, _READ_CLOCK)

    def tell_time(self) -> None:
        """Take over the clock's time."""
        seconds, ms = divmod(self._clock.now_ms, 1000)
        self._execute("HSET", _CLOCK, "s", seconds, "us", ms * 1000)

    def close(self) -> None:
        """Forget everything."""
        self._client.close()

    def _execute(self, *command: object) -> object:
        if command[0] == "TIME":
            seconds, ms = divmod(self._clock.now_ms, 1000)
            return [seconds, ms * 1000]
        if command[0] == "WAIT":  # fakeredis knows none; what is in memory is as safe as it will ever be
            return command[1]
        with self._lock:  # a handler's thread may use the sync client while the loop's thread works
            return self._call(*command)

    async def _execute_soon(self, *command: object) -> object:
        return self._execute(*command)

    async def _stay(self) -> None:
        """The store's links close nothing: the memory is the harness's."""

    def _nothing(self) -> None:
        """As above."""
