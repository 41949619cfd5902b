"""So many at once, the first come first: as `asyncio.Semaphore`, which costs more than the reading of a reply.

Whoever leaves gives his place to the one who has waited the longest, so nobody who comes later takes it meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Places:
    """The places of one event loop.

    Args:
        number: How many there are.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place if one is free; if not, `wait` for one."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait for a place that somebody leaves; it is taken then."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:  # cancelled, or nobody wants it to end
            if turn.done() and not turn.cancelled():  # the place was given already
                self.leave()
            turn.cancel()
            raise

    def leave(self) -> None:
        """Give a place to the first who waits, or let it be free."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
