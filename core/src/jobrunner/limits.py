"""What operators say of a queue and of its tenants while everything runs: pauses and bounds.

It is kept in the queue's `meta` and goes before what the plugin declares. Nothing here moves a job: a tenant
that may go on is given a turn, and workers take it.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobrunner.declaration import Declaration
from jobrunner.names import check_queue, check_tenant
from jobrunner.store import calls, looks
from jobrunner.store.store import Store


class Limits:
    """The limits of a store's queues.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pause(self, queue: str, tenant: str = "") -> None:
        """Let no further job of a queue, or of one tenant in it, start."""
        await self._store.run(calls.limit(self._store.keys(check_queue(queue)), {_paused(tenant): 1}))

    async def resume(self, queue: str, tenant: str = "") -> None:
        """Let a queue or a tenant go on, and wake a worker."""
        keys = self._store.keys(check_queue(queue))
        await self._store.run(calls.limit(keys, {_paused(tenant): ""}))
        if tenant:
            await self._store.run(calls.turn(keys, tenant, 1))
        else:
            await self._store.run(calls.command("LPUSH", keys["wake"], 1))

    async def set(self, queue: str, fields: Mapping[str, object]) -> None:
        """Set fields of `meta`, an empty value clears one; tenants that may go on by it are given their turn.

        Args:
            queue: The queue.
            fields: As the script `limit` takes them: `max_active`, `max_active:acme` ...
        """
        keys = self._store.keys(check_queue(queue))
        await self._store.run(calls.limit(keys, fields))
        await self.look_again(queue)

    async def look_again(self, queue: str, *, max_active: int = 0, rate: str = "0") -> None:
        """Give a turn to every tenant with held jobs that may start some, a bounded number a step.

        Args:
            queue: The queue.
            max_active: What the queue declares for each tenant. 0 gives turns too freely, and an exchange takes them away.
            rate: The same of its rate.
        """
        keys, start, is_first = self._store.keys(queue), "", True
        while start or is_first:
            start = await self._store.run(calls.turn(keys, start, max_active=max_active, rate=rate))
            is_first = False

    async def why_held(self, queue: str, tenant: str, declared: Declaration) -> str:
        """Why the jobs of a tenant are held now, in plain words."""
        keys = self._store.keys(queue)
        set_by_hand = await self._store.run(looks.hash_of(keys["meta"]))
        if f"pause:{tenant}" in set_by_hand:
            return f"tenant {tenant} is paused: `jobrunner resume {queue} --tenant {tenant}` lets it go on"
        most = _number(
            set_by_hand.get(f"max_active:{tenant}", set_by_hand.get("max_active_per_tenant")),
            declared.max_active_per_tenant,
        )
        active = _number(await self._store.run(looks.tally(keys, f"active|{tenant}")), 0)
        if 0 < most <= active:
            what = "1 job at a time" if most == 1 else f"{most:,} jobs at once"
            return f"tenant {tenant} may run {what}, and does"
        ripe = await self._store.run(calls.command("ZSCORE", keys["refill"], tenant))
        if isinstance(ripe, bytes):
            now_ms = await self._store.run(calls.server_ms())
            wait_s = max(0.0, float(ripe) - now_ms) / 1000
            return f"tenant {tenant} has used up its rate, and starts the next in {wait_s:.1f} s"
        return f"tenant {tenant} had come to a limit, and its turn comes again"


def _paused(tenant: str) -> str:
    return f"pause:{check_tenant(tenant)}" if tenant else "paused"


def _number(raw: bytes | None, otherwise: int) -> int:
    """A number as it is kept; what is none counts as nothing said."""
    try:
        return otherwise if raw is None else int(raw)
    except ValueError:
        return otherwise
